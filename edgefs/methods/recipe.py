"""Recipes: the options of a run, and what was measured with them, in a TOML file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from edgefs.errors import ConfigError, PackageMissing
from edgefs.methods import META, TrainConfig
from edgefs.methods.options import settled


def read_recipe(path: str | Path, **options: Any) -> TrainConfig:
    """The config in the [train] table of a recipe, with options over it. Raises ConfigError."""
    path = Path(path)
    try:
        table = {**toml_tables(path.read_text())["train"], **options}
    except OSError as error:
        raise ConfigError(f"{path} must be a readable recipe, but: {error.strerror or error}") from error
    except (KeyError, ValueError) as error:
        raise ConfigError(f"{path} must be TOML with a [train] table, but: {error}") from error
    missing = [name for name in ("method", "data") if name not in table]
    if missing:
        raise ConfigError(f"[train] of {path} must have {' and '.join(missing)}; see recipes/ for examples")
    return settled(META, str(table.pop("method")), table)


def toml_tables(text: str) -> dict[str, Any]:
    """The tables of a TOML document. Raises ValueError."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        try:
            import tomli as tomllib  # type: ignore[import-not-found,no-redef]
        except ImportError as error:
            raise PackageMissing(
                f"recipes are TOML, which Python 3.10 reads with tomli, but {error}; do: pip install tomli"
            ) from error
    return dict(tomllib.loads(text))

"""Where pulled models are kept: one bundle for each rung, in the user's cache folder."""

from __future__ import annotations

from pathlib import Path

from edgefs.models.ladder import NAMES, SMALL
from runtime.bundle import Bundle
from runtime.engines.choices import file as engine_choices
from runtime.errors import BundleCorrupt, BundleError, BundleMissing, OptionError
from runtime.models import default_bundle

INSTALL = "pip install 'edgefs[export,models]'"


def pulled_path(name: str) -> Path:
    """Return where the bundle of a rung is kept: EDGEFS_MODEL_CACHE, else XDG_CACHE_HOME/edgefs, and models/ in it."""
    return engine_choices().parent / "models" / f"{name}.edgefs"


def is_pulled(name: str) -> bool:
    """Return whether a rung can be opened without being built first."""
    return name == SMALL or (pulled_path(name) / "manifest.json").is_file()


def open_model(name: str, trusted_keys: Path | None = None) -> Bundle:
    """Open a model of the ladder by its name, and check every file of it.

    Args:
        name: "small", "standard" or "large".
        trusted_keys: As in `Bundle.load`; "small" is in the package and needs no signature.

    Raises:
        OptionError: There is no such model.
        BundleMissing: It was not pulled yet; the message has the two commands to do so.
        BundleCorrupt: The bundle in the cache is damaged, or another version of edgefs wrote it.
    """
    if name not in NAMES:
        raise OptionError(f"--model must be one of {', '.join(NAMES)}, but is {name!r}; see: edgefs models ls")
    if name == SMALL:
        return default_bundle()
    if not is_pulled(name):
        raise BundleMissing(
            f"The model {name} is not built on this computer yet. Do: {INSTALL}; and then: edgefs models pull {name}"
        )
    try:
        return Bundle.load(pulled_path(name), trusted_keys=trusted_keys)
    except BundleError as error:
        raise BundleCorrupt(f"{error}. Build the model again: edgefs models pull {name}") from error

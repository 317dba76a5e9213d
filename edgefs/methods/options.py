"""Config dataclasses whose fields carry their own help text and limits. Nothing here imports torch.

A field is declared with `option(default, text)`; the command line and the checks below read the same declaration.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import MISSING, Field, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

from edgefs.errors import ConfigError

Settings = TypeVar("Settings", bound="Config")
PATHS = {
    "root": "",
    "out": "",
    "source": "",
    "target": "",
    "target_labels": "",
}  # folders of this machine


def option(
    default: Any = MISSING,
    text: str = "",
    *,
    choices: Iterable[str] = (),
    least: float | None = None,
    most: float | None = None,
    group: str = "",
    flag: bool = True,
) -> Any:
    """Declare a field of a config.

    Args:
        default: Value when nothing is given; without one the field must be given.
        text: What the command line says about it. The default is added to it.
        choices: All values that are allowed.
        least: Smallest number that is allowed.
        most: Largest number that is allowed.
        group: Title in the help of this field and of those that follow it.
        flag: Whether the command line has an option for it.
    """
    facts = {"help": text, "choices": tuple(choices), "least": least, "most": most, "group": group, "flag": flag}
    return field(default=default, metadata=facts)


def facts_of(kind: type[Any], name: str) -> dict[str, Any]:
    """The declaration of a field. A class that only changes the default of a field keeps its declaration."""
    for base in kind.__mro__:
        own: Field[Any] | None = base.__dict__.get("__dataclass_fields__", {}).get(name)
        if own is not None and own.metadata:
            return dict(own.metadata)
    return {}


def type_of(kind: type[Any], name: str) -> str:
    """The type of a field as it is written, such as "int | None"."""
    declared = kind.__dataclass_fields__[name].type
    return declared.__name__ if declared in (bool, int, float, str) else str(declared)


@dataclass(frozen=True, kw_only=True)
class Config:
    """What every run has. Each method derives its own class, with its own fields and defaults."""

    method: str = option(flag=False)

    def __post_init__(self) -> None:
        for each in fields(self):
            if type_of(type(self), each.name).startswith("tuple"):  # recipes and checkpoints have lists
                object.__setattr__(self, each.name, tuple(getattr(self, each.name)))
            self._check(each.name, getattr(self, each.name), facts_of(type(self), each.name))

    def _check(self, name: str, value: Any, facts: dict[str, Any]) -> None:
        choices, least, most = (facts.get(key) for key in ("choices", "least", "most"))
        if choices and not isinstance(value, tuple) and value not in choices:
            raise ConfigError(f"{name} must be one of {', '.join(choices)}, but is {value!r}")
        if value is None or (least is None and most is None):
            return
        if most is not None and not least <= value <= most:
            raise ConfigError(f"{name} must be in {least}..{most}, but is {value}")
        if value < least:
            raise ConfigError(f"{name} must be at least {least}, but is {value}")

    def to_json(self) -> dict[str, Any]:
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def public(self: Settings) -> Settings:
        """The same config without the folders of this machine, as a checkpoint carries it."""
        hidden: dict[str, Any] = {name: value for name, value in PATHS.items() if hasattr(self, name)}
        hidden |= {name: Path(getattr(self, name)).name for name in ("weights", "init_from") if hasattr(self, name)}
        return replace(self, **hidden)

    def build(self, backbone: Any, *, workers: int = 1) -> Any:
        """The trainable network of this method around a backbone; it imports torch.

        Args:
            backbone: `nn.Module` with `dim`, its feature size.
            workers: How many tasks the method works on at once, where it can.
        """
        raise NotImplementedError


def settled(kinds: dict[str, type[Settings]], method: str | Settings, options: dict[str, Any]) -> Settings:
    """The config of a run, from a config object or a method's name, with options over it.

    Raises:
        ConfigError: Naming the method or the option that does not exist, or the value that cannot work.
    """
    if isinstance(method, Config):
        return replace(method, **_known(type(method), method.method, options))
    if method not in kinds:
        raise ConfigError(f"method must be one of {', '.join(kinds)}, but is {method!r}")
    kind = kinds[method]
    given = _known(kind, method, options)
    needed = [each.name for each in fields(kind) if each.default is MISSING and each.name != "method"]
    missing = [name for name in needed if name not in given]
    if missing:
        raise ConfigError(f"{method} needs {' and '.join(missing)}, but {' and '.join(missing)} is not given")
    return kind(**{**given, "method": method})


def _known(kind: type[Any], method: str, options: dict[str, Any]) -> dict[str, Any]:
    known = {each.name for each in fields(kind)} - {"method"}
    unknown = sorted(set(options) - known)
    if unknown:
        raise ConfigError(
            f"the options of {method} must be among {', '.join(sorted(known))}, but there is {', '.join(unknown)}"
        )
    return options

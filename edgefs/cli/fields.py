"""The fields of a config dataclass as options of a command; left out, the dataclass's (or a recipe's) value holds."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, fields
from typing import Any


def add_fields(
    parser: argparse.ArgumentParser, kind: type[Any], groups: Mapping[str, Sequence[str]], words: Mapping[str, str]
) -> None:
    """groups: title -> names of fields.  words: what the help says of a field."""
    known = {field.name: field for field in fields(kind)}
    for title, names in groups.items():
        group = parser.add_argument_group(title)
        for name in names:
            _add(group, known[name], words.get(name, name.replace("_", " ")))


def given(args: argparse.Namespace, kind: type[Any]) -> dict[str, Any]:
    """Those fields that the command line has."""
    found = {field.name: getattr(args, field.name, None) for field in fields(kind)}
    return {name: value for name, value in found.items() if value is not None}


def _add(group: Any, field: Field[Any], words: str) -> None:
    flag, kind = "--" + field.name.replace("_", "-"), str(field.type)
    if kind.startswith("bool"):
        group.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=words)
    elif kind.startswith("tuple"):
        of, metavar = (float, "X") if "float" in kind else (str, "NAME")
        group.add_argument(flag, nargs="*", type=of, default=None, metavar=metavar, help=words)
    else:
        number = {"int": int, "int | None": int, "float": float, "float | None": float}.get(kind, str)
        shown = "" if field.default in (MISSING, None, "") or "default" in words else f" (default: {field.default})"
        group.add_argument(flag, type=number, default=None, metavar=field.name.upper(), help=words + shown)

"""The fields of config dataclasses as options of a command. An option left out keeps the default of the config."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from edgefs.methods.options import facts_of, type_of

NUMBERS = {"int": int, "int | None": int, "float": float, "float | None": float}


def add_fields(parser: argparse.ArgumentParser, kinds: Mapping[str, type[Any]]) -> None:
    """Add one option for every field of the configs of some methods.

    Args:
        parser: Parser of the command.
        kinds: Config class of each method. A field that not all of them have is listed under the methods that do.
    """
    owners: dict[str, list[str]] = {}
    for method, kind in kinds.items():
        for each in fields(kind):
            owners.setdefault(each.name, []).append(method)
    title = "options"
    groups: dict[str, Any] = {}
    shown_fields = []
    for name, methods in owners.items():
        kind = kinds[methods[0]]
        facts = facts_of(kind, name)
        if not facts.get("flag", True):
            continue
        title = facts["group"] or title
        shown = title if len(methods) == len(kinds) else f"only {', '.join(methods)}"
        if shown not in groups:
            groups[shown] = parser.add_argument_group(shown)
        shown_fields.append(name)
        _add(groups[shown], name, type_of(kind, name), facts, _defaults(name, methods, kinds))
    parser.set_defaults(config_fields=shown_fields)


def given(args: argparse.Namespace) -> dict[str, Any]:
    """The options of `add_fields` that the command line has."""
    return {name: getattr(args, name) for name in args.config_fields if getattr(args, name) is not None}


def _add(group: Any, name: str, kind: str, facts: Mapping[str, Any], default: str) -> None:
    words = facts["help"] + default
    options: dict[str, Any] = {"default": None, "help": words.replace("%", "%%")}
    if kind == "bool" or kind.startswith("bool "):
        options["action"] = argparse.BooleanOptionalAction
    elif kind.startswith("tuple"):
        of, metavar = (float, "X") if "float" in kind else (str, "NAME")
        options |= {"nargs": "*", "type": of, "metavar": metavar}
    else:
        options["type"] = NUMBERS.get(kind, str)
        options |= {"choices": facts["choices"]} if facts["choices"] else {"metavar": name.upper()}
    group.add_argument("--" + name.replace("_", "-"), **options)


def _defaults(name: str, methods: list[str], kinds: Mapping[str, type[Any]]) -> str:
    """What the help says about the default: one value, or the values of the methods that have their own."""
    found = {method: kinds[method].__dataclass_fields__[name].default for method in methods}
    if "(default" in facts_of(kinds[methods[0]], name)["help"] or MISSING in found.values():
        return "" if MISSING not in found.values() else " (needed)"
    values = list(found.values())
    usual = max(values, key=values.count)
    own = [f"{method}: {_shown(value)}" for method, value in found.items() if value != usual]
    return f" (default: {'; '.join([_shown(usual), *own])})" if _shown(usual) or own else ""


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "by the machine"
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)

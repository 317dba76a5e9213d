"""An argument parser whose errors suggest the nearest valid word."""

from __future__ import annotations

import argparse
import difflib
import re
from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    """`argparse.ArgumentParser` that adds "did you mean" to the error about a mistyped command or choice.

    Options must be written out: as an abbreviation, `live --head` would mean `--headless`.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **settings})

    def error(self, message: str) -> NoReturn:
        if found := re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message):
            near = difflib.get_close_matches(found[1], re.findall(r"[\w.-]+", found[2]), n=1)
            message += f"; did you mean {near[0]!r}?" if near else ""
        super().error(message)


def children(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The subcommands of a parser, by name."""
    actions = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return {name: child for action in actions for name, child in action.choices.items()}


def leaves(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    """The parsers without subcommands below a parser, or the parser itself."""
    below = children(parser).values()
    return [leaf for child in below for leaf in leaves(child)] if below else [parser]


def words(parser: argparse.ArgumentParser) -> list[str]:
    """What may follow a command: the choices of its positional arguments, and its long options."""
    positional = [str(word) for action in parser._actions if not action.option_strings for word in action.choices or ()]
    return positional + [text for action in parser._actions for text in action.option_strings if text[:2] == "--"]

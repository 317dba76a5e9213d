"""The help of the commands in Chinese. The texts in the code are English, and are the keys of `zh.json`.

What is code stays as it is: the commands of the examples, the names of options and the values of defaults. An unknown
text stays English; a test lists all texts and fails for one that is not in the dictionary.
"""

from __future__ import annotations

import argparse
import re
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

from edgefs.cli.parser import children
from edgefs.reports.words import dictionary

Say = Callable[[str], str]
DEFAULT = re.compile(r"(.+?) \(default: (.+)\)", re.S)
PROGRAMS = ("edgefs ", "pip ", "torchrun ")
WIDE = "WF"  # the classes of characters that take two columns of a terminal


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Breaks lines by the columns that their characters take: Chinese has no spaces, and its characters are wide."""

    def add_usage(self, usage, actions, groups, prefix=None):  # type: ignore[no-untyped-def]
        super().add_usage(usage, actions, groups, prefix or "用法：")

    def _split_lines(self, text: str, width: int) -> list[str]:
        return broken(" ".join(text.split()), width)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = [
            part for line in text.splitlines() for part in (broken(line, width) if columns(line) > width else [line])
        ]
        return "\n".join(indent + line for line in lines)


def translate(parser: argparse.ArgumentParser) -> None:
    """Translate the help of a parser and of all parsers below it."""
    words = dictionary(Path(__file__).parent)
    _translate(parser, lambda text: words.get(text, text))


def texts(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield every text of the help of a parser, and of all parsers below it, that must be in the dictionary."""
    found: list[str] = []

    def note(text: str) -> str:
        found.append(text)
        return text

    _translate(parser, note)
    yield from dict.fromkeys(found)


def _translate(parser: argparse.ArgumentParser, say: Say) -> None:
    parser.formatter_class = Formatter
    parser.description, parser.epilog = (text and page(text, say) for text in (parser.description, parser.epilog))
    for group in parser._action_groups:
        group.title, group.description = (text and say(text) for text in (group.title, group.description))
    for action in parser._actions:
        choices = action._choices_actions if isinstance(action, argparse._SubParsersAction) else []
        for each in (action, *choices):
            if each.help and each.help != argparse.SUPPRESS:
                each.help = option(each.help, say)
    for child in children(parser).values():
        _translate(child, say)


def option(text: str, say: Say) -> str:
    """Translate the help of an option, and what it says of its default."""
    found = DEFAULT.fullmatch(text)
    if not found:
        return say(text)
    parts = [": ".join(_value(part, say) for part in each.split(": ")) for each in found[2].split("; ")]
    return f"{say(found[1])}（默认：{'；'.join(parts)}）"


def _value(text: str, say: Say) -> str:
    """Translate a default in words; one that is a value stays."""
    return say(text) if re.search(r"[a-z'] [a-z]|^(?:no|yes|none|here)$", text) else text


def page(text: str, say: Say) -> str:
    """Translate a description: its paragraphs, and the remarks in its lists of examples."""
    parts = text.strip("\n").split("\n\n")
    return "\n\n".join(_examples(part, say) if ":\n  " in part else say(" ".join(part.split())) for part in parts)


def _examples(part: str, say: Say) -> str:
    head, *lines = part.split("\n")
    return "\n".join([say(head), *(_example(line, say) for line in lines)])


def _example(line: str, say: Say) -> str:
    """Translate what stands behind two spaces or more, unless it is a command."""
    code, *rest = re.split(r"(?<=\S)(\s{2,})", line)
    return code + "".join(part if part.isspace() or part.startswith(PROGRAMS) else _remark(part, say) for part in rest)


def _remark(part: str, say: Say) -> str:
    if part.startswith("(") and part.endswith(")"):
        return f"({say(part[1:-1])})"
    return f"# {say(part[2:])}" if part.startswith("# ") else say(part)


def columns(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    return sum(2 if unicodedata.east_asian_width(char) in WIDE else 1 for char in text)


def broken(text: str, width: int) -> list[str]:
    """Break a text into lines of at most `width` columns, between words or before a wide character."""
    lines, line = [], ""
    for piece in re.findall(r"[（“]*(?:[!-~]+|.)[，。；：、）”]*\s*", text):
        if line and columns((line + piece).rstrip()) > width:
            lines.append(line.rstrip())
            line = piece.lstrip()
        else:
            line += piece
    return [*lines, line.rstrip()]

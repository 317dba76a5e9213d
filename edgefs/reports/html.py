"""Building blocks of HTML reports. Text is escaped here, and a page refers to nothing outside itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

from edgefs.reports.words import LANG, language

# The browser fetches nothing, whatever a name in the page contains.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def document(title: str, body: Iterable[str]) -> str:
    """A whole page, with the stylesheet that reports share with the live app."""
    sheets = (files("runtime") / "app" / "web" / "static" / "style.css", Path(__file__).with_suffix(".css"))
    css = "".join(sheet.read_text(encoding="utf-8") for sheet in sheets)
    head = (
        f'<!doctype html>\n<html lang="{LANG[language()]}">\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>\n<style>\n{css}</style>\n<body>",
    )
    return "\n".join([*head, *(part for part in body if part), "</body>\n</html>\n"])


def section(title: str, *parts: str) -> str:
    return f"<section><h2>{escape(title)}</h2>\n" + "\n".join(part for part in parts if part) + "\n</section>"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; the first column is text, the others are numbers."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def facts(pairs: Mapping[str, str]) -> str:
    return (
        "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs.items()) + "</dl>"
    )


def headline(brand: str, title: str, lead: str) -> str:
    """The top of a page: the kind of report, its result in one line, and how it was obtained."""
    return (
        f'<header><span class="brand">{escape(brand)}</span><h1>{escape(title)}</h1>'
        f'<p class="lead soft">{escape(lead)}</p></header>'
    )


def figures(cards: Iterable[str]) -> str:
    """A row of `card`s."""
    return f'<div class="figures">{"".join(cards)}</div>'


def card(number: str, words: str, small: str = "", *, missed: bool = False) -> str:
    """One large number and what it counts; `missed`: the requirement was not reached."""
    note = f'<br><span class="soft">{escape(small)}</span>' if small else ""
    return f'<div class="{"missed" if missed else "kept"}"><strong>{escape(number)}</strong>{escape(words)}{note}</div>'

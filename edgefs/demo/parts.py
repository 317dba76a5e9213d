"""The parts of an HTML report. What comes from outside is escaped here, and a page refers to nothing outside itself."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

from edgefs.demo.story import UNKNOWN, Picture
from runtime.recognition import Recognition

# nothing may be fetched, whatever a name in the page says
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def document(title: str, body: Iterable[str]) -> str:
    """A whole page, with the stylesheet that all reports share with the live page."""
    sheets = (files("runtime") / "app" / "static" / "style.css", Path(__file__).with_name("page.css"))
    css = "".join(sheet.read_text(encoding="utf-8") for sheet in sheets)
    head = (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>\n<style>\n{css}</style>\n<body>",
    )
    return "\n".join([*head, *(part for part in body if part), "</body>\n</html>\n"])


def section(title: str, *parts: str) -> str:
    return f"<section><h2>{escape(title)}</h2>\n" + "\n".join(part for part in parts if part) + "\n</section>"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Plain columns; the first is text, the others numbers."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def facts(pairs: Mapping[str, str]) -> str:
    return (
        "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs.items()) + "</dl>"
    )


def picture(shown: Picture, caption: str, alt: str) -> str:
    """A figure with its picture inside the page. caption: HTML, already escaped."""
    data = base64.b64encode(shown.jpeg).decode()
    image = f'<img src="data:image/jpeg;base64,{data}" alt="{escape(alt)}" loading="lazy">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def answer(shown: Picture, metric: str, *, title: str | None = None) -> str:
    """A recognised frame: what was answered, its score with a tick at the threshold, and the check that decided."""
    recognition = shown.answer
    assert recognition is not None
    label = recognition.label or UNKNOWN
    bar = _bar(recognition) if metric == "cosine" else ""  # a distance has no scale to draw
    caption = f"<b>{escape(title or label)}</b>{bar}{escape(_why(recognition))}<br>at {shown.time_s:.1f} s"
    return picture(shown, caption, f"{shown.subject or 'frame'}, answered {label}")


def _bar(recognition: Recognition) -> str:
    score, tick = (100 * min(max(value, 0.0), 1.0) for value in (recognition.score, recognition.threshold))
    kind = "" if recognition.label else " unknown"
    mark = f'<u style="left:{tick:.1f}%"></u>' if tick else ""
    return f'<div class="bar{kind}"><i style="width:{score:.1f}%"></i>{mark}</div>'


def _why(recognition: Recognition) -> str:
    needs = f", needs {recognition.threshold:.2f}" if recognition.threshold > float("-inf") else ""
    score = f"{recognition.score:.2f}{needs}"
    if recognition.label:
        return score
    why = {
        "score": f"nearest: {recognition.candidate} {score}",
        "margin": f"between {recognition.candidate} and {recognition.runner_up}",
        "background": f"no more like {recognition.candidate} than like things in general",
        "nearest shot": f"like {recognition.candidate}, but near no view of it",
        "not this": f"like what {recognition.candidate} is not",
    }
    return why.get(recognition.check, recognition.check)

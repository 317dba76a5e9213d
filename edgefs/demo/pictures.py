"""Frames on the page of the demo: the picture, the answer, and the reason for it."""

from __future__ import annotations

import base64
from html import escape

from edgefs.demo.playback import UNKNOWN, Picture
from edgefs.reports.words import t
from runtime.recognition import Recognition


def picture(shown: Picture, caption: str, alt: str) -> str:
    """A figure whose picture is part of the page. The caption is HTML and already escaped."""
    data = base64.b64encode(shown.jpeg).decode()
    image = f'<img src="data:image/jpeg;base64,{data}" alt="{escape(alt)}" loading="lazy">'
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def answer(shown: Picture, metric: str, *, title: str | None = None) -> str:
    """A recognised frame with its answer, its score with a tick at the threshold, and the check that decided."""
    recognition = shown.answer
    assert recognition is not None
    label = recognition.label or t(UNKNOWN)
    when = t("at {s} s", s=f"{shown.time_s:.1f}")
    bar = _bar(recognition) if metric == "cosine" else ""  # a distance has no scale to draw
    caption = f"<b>{escape(title or label)}</b>{bar}{escape(_why(recognition))}<br>{when}"
    return picture(shown, caption, t("{subject}, answered {label}", subject=shown.subject or t("frame"), label=label))


def _bar(recognition: Recognition) -> str:
    score, tick = (100 * min(max(value, 0.0), 1.0) for value in (recognition.score, recognition.threshold))
    kind = "" if recognition.label else " unknown"
    mark = f'<u style="left:{tick:.1f}%"></u>' if tick else ""
    return f'<div class="bar{kind}"><i style="width:{score:.1f}%"></i>{mark}</div>'


def _why(recognition: Recognition) -> str:
    name, threshold = recognition.candidate, recognition.threshold
    needs = t(", needs {threshold}", threshold=f"{threshold:.2f}") if threshold > float("-inf") else ""
    score = f"{recognition.score:.2f}{needs}"
    if recognition.label:
        return score
    why = {
        "score": t("nearest: {name} {score}", name=name, score=score),
        "twin": t("between {name} and {other}", name=name, other=recognition.runner_up),
        "not this": t("like a picture that was rejected for {name}", name=name),
    }
    return why.get(recognition.check, t(recognition.check))

"""How well a gallery recognises pictures that it was not taught from: per class, with the list of mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edgefs.reports.confusion import confusion, write_confusion
from edgefs.reports.progress import Progress, silent
from runtime.opencv import read_image
from runtime.recognition import Recognition
from runtime.recognizer import Recognizer

Item = TypeVar("Item")
UNKNOWN = "unknown"
RATES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)


@dataclass(frozen=True)
class PictureAnswer:
    """The answer to one picture.  truth: its class; None for a stranger."""

    path: str
    truth: str | None
    answer: Recognition

    @property
    def outcome(self) -> str:
        """ "right", "wrong", "maybe" or "unknown"; for a stranger "wrong" means that it was given a name."""
        if self.answer.certainty != "sure":
            return self.answer.certainty
        return "right" if self.answer.label == self.truth else "wrong"


@dataclass(frozen=True)
class GalleryEvaluation:
    """What `evaluate_gallery` found.

    Attributes:
        pictures: Every picture with its answer; strangers have the truth None.
        by_rate: For several stranger rates, the shares 0..1 of known pictures named right and of strangers named.
    """

    pictures: tuple[PictureAnswer, ...]
    by_rate: tuple[tuple[float, float, float], ...]

    def of(self, truth: str | None) -> dict[str, int]:
        """How many pictures of a class, or of strangers, had each outcome."""
        outcomes = [picture.outcome for picture in self.pictures if picture.truth == truth]
        return {outcome: outcomes.count(outcome) for outcome in ("right", "wrong", "maybe", UNKNOWN)}

    @property
    def mistakes(self) -> list[PictureAnswer]:
        """Pictures with a wrong name, and known pictures that were called unknown."""
        missed = ("wrong", UNKNOWN)
        return [one for one in self.pictures if one.outcome in (missed if one.truth else ("wrong",))]


def evaluate_gallery(
    recognizer: Recognizer,
    known: Mapping[str, Sequence[Path]],
    strangers: Sequence[Path] = (),
    progress: Progress = silent,
) -> GalleryEvaluation:
    """Recognise pictures of taught classes and of strangers.

    Args:
        recognizer: The recognizer with the gallery.
        known: The pictures of each class; a class that is not taught counts as strangers.
        strangers: Pictures of things that are not taught.
        progress: Shows progress.
    """
    answers = []
    asked = _with_truth(recognizer, known, strangers)
    for path, truth in progress(asked, "recognising pictures", len(asked)):
        answers.append(PictureAnswer(str(path), truth, recognizer.recognize(read_image(path))))
    return GalleryEvaluation(tuple(answers), tuple(_by_rate(recognizer, answers)))


def evaluate_embedded(
    recognizer: Recognizer,
    known: Mapping[str, Sequence[tuple[str, NDArray[np.float32]]]],
    strangers: Sequence[Path] = (),
    progress: Progress = silent,
) -> GalleryEvaluation:
    """`evaluate_gallery` for pictures that this model embedded before; the strangers are still pictures.

    Args:
        recognizer: The recognizer with the gallery.
        known: The path and the embedding `float32 [D]` of each picture of each class.
        strangers: Pictures of things that are not taught.
        progress: Shows progress.
    """
    answers = [
        PictureAnswer(path, truth, recognizer.match(embedding))
        for (path, embedding), truth in _with_truth(recognizer, known, ())
    ]
    answers += evaluate_gallery(recognizer, {}, strangers, progress).pictures
    return GalleryEvaluation(tuple(answers), tuple(_by_rate(recognizer, answers)))


def _with_truth(
    recognizer: Recognizer, known: Mapping[str, Sequence[Item]], strangers: Sequence[Item]
) -> list[tuple[Item, str | None]]:
    """Every picture with its class; None if it is a stranger."""
    taught = set(recognizer.labels)
    labelled = [(one, label if label in taught else None) for label, some in known.items() for one in some]
    return [*labelled, *((one, None) for one in strangers)]


def write_plots(found: GalleryEvaluation, labels: Sequence[str], out: Path) -> None:
    """Write confusion.csv, confusion.png and, where there are strangers, rates.png into a folder; needs matplotlib."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    out.mkdir(parents=True, exist_ok=True)
    names = [*labels, UNKNOWN]
    rows = [names.index(one.truth or UNKNOWN) for one in found.pictures]
    columns = [names.index(one.answer.label or UNKNOWN) for one in found.pictures]
    write_confusion(confusion(np.array(rows), np.array(columns), len(names)), names, out, title="true and answered")
    rates = np.array(found.by_rate)
    figure = Figure((5, 4), layout="constrained")
    axes = figure.add_subplot(xscale="log", xlabel="asked stranger rate, %", ylabel="pictures, %", ylim=(0, 100))
    axes.plot(100 * rates[:, 0], 100 * rates[:, 1], marker="o", label="known, named right")
    axes.plot(100 * rates[:, 0], 100 * rates[:, 2], marker="o", label="strangers, named")
    axes.legend()
    FigureCanvasAgg(figure).print_png(out / "rates.png")


def _by_rate(recognizer: Recognizer, answers: Sequence[PictureAnswer]) -> list[tuple[float, float, float]]:
    """The shares at every rate; the recognizer's own rate is set again afterwards."""
    own, rows = recognizer.stranger_rate, []
    try:
        for rate in RATES:
            recognizer.stranger_rate = rate
            named = np.array([recognizer.match(one.answer.embedding).label for one in answers], object)
            truth = np.array([one.truth for one in answers], object)
            known = truth != None  # noqa: E711 - element by element
            rows.append((rate, _share((named == truth)[known]), _share((named != None)[~known])))  # noqa: E711
    finally:
        recognizer.stranger_rate = own
    return rows


def _share(hits: NDArray[np.bool_]) -> float:
    return float(hits.mean()) if len(hits) else float("nan")

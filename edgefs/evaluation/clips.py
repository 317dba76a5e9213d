"""Hold to teach, measured on real clips: K things are taught from a part of their clips; is the rest of them named?

Each random gallery teaches K things. Frames of the same clip from one second after the taught part on are `known`,
frames of another clip of the same thing are `other occasion`, and clips of things that were not taught are strangers.
Beside the recognizer stands the plain rule: the best cosine to the mean of each thing's frames against one constant for
all galleries, chosen with hindsight so that exactly the asked share of strangers passes. It is the bound to approach.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefs.evaluation.metrics import auroc
from exporters.sources.clips import Clip
from runtime.recognition import Recognition
from runtime.recognizer import Recognizer
from runtime.teaching.enrolling import Observation

GAP_S = 1.0  # between the last taught frame and the first known one
SEED = 7
SPREAD = "spread"  # taught from frames spread over the clip, every other frame of which is known


@dataclass(frozen=True, eq=False)
class SeenClip:
    """A clip whose frames were embedded once.

    Attributes:
        clip: The clip.
        seen: The observation of each frame, as enrolment takes it.
        embeddings: `float32 [frames, D]`.
    """

    clip: Clip
    seen: list[Observation]
    embeddings: NDArray[np.float32]

    def taught(self, hold: float | str, n_spread: int = 15) -> NDArray[np.bool_]:
        """Which frames are taught, `bool [frames]`: the first `hold` seconds, or `n_spread` frames over the clip."""
        times = self.clip.times_s
        if hold != SPREAD:
            return np.asarray(times <= float(hold))
        chosen = np.zeros(len(times), bool)
        chosen[np.linspace(0, len(times) - 1, n_spread).astype(int)] = True
        return chosen

    def known(self, hold: float | str) -> NDArray[np.bool_]:
        """Which frames test what was taught, `bool [frames]`."""
        return ~self.taught(hold) if hold == SPREAD else np.asarray(self.clip.times_s > float(hold) + GAP_S)


@dataclass(frozen=True)
class ClipResult:
    """Means over galleries, in percent of frames.

    Attributes:
        hold: Seconds that were taught, or "spread".
        n_way: K, the number of things taught.
        rate: The asked share of strangers, in percent.
        named, maybe, unknown, wrong: What known frames were called: their own name, their own name with a question
            mark, unknown, and another name.
        worst_tenth: `named` in the tenth of the galleries in which it is lowest.
        other_occasion: Frames of another clip of a taught thing that were given its name; None without such clips.
        strangers: Stranger frames that were given a name.
        strangers_maybe: Stranger frames that were called "maybe".
        plain_named: Known frames that the plain rule names.
        plain_auroc: How well the plain score separates known frames from strangers.
    """

    hold: float | str
    n_way: int
    rate: float
    named: float
    maybe: float
    unknown: float
    wrong: float
    worst_tenth: float
    other_occasion: float | None
    strangers: float
    strangers_maybe: float
    plain_named: float
    plain_auroc: float


def observe_clip(recognizer: Recognizer, clip: Clip) -> SeenClip:
    """Embed every frame of a clip once."""
    seen = recognizer.observe(clip.frames)
    return SeenClip(clip, seen, np.stack([one.embedding for one in seen]))


def evaluate_clips(
    clips: Sequence[SeenClip],
    new_recognizer: Callable[[float], Recognizer],
    *,
    hold: float | str,
    n_way: int,
    rates: Sequence[float] = (0.05,),
    n_galleries: int = 60,
) -> list[ClipResult]:
    """Measure one length of enrolment and one number of classes, for every rate.

    Args:
        clips: The clips, embedded by the bundle that the recognizers run.
        new_recognizer: Opens a recognizer with an empty gallery in memory, for a stranger rate.
        hold: Seconds taught from the start of each clip, or "spread".
        n_way: How many things each gallery teaches.
        rates: Stranger rates, 0..1.
        n_galleries: Random galleries; every rate sees the same.
    """
    shortest = GAP_S + 0.5 + (0.0 if hold == SPREAD else float(hold))
    usable = [clip for clip in clips if clip.clip.times_s[-1] >= shortest]
    rng = np.random.default_rng(SEED)
    draws = [_draw(rng, usable, n_way) for _ in range(n_galleries)]
    plain = [_plain_scores(taught, clips, hold) for taught in draws]
    known, strange = (np.concatenate(column) for column in zip(*plain, strict=True))
    results = []
    for rate in rates:
        with new_recognizer(rate) as recognizer:
            rows = [_measure(recognizer, taught, clips, hold) for taught in draws]
        threshold = np.quantile(strange, 1 - rate)
        mean = {key: _percent([row[key] for row in rows]) for key in rows[0] if key != "other"}
        named = sorted(row["named"] for row in rows)
        other = [row["other"] for row in rows if not np.isnan(row["other"])]
        results.append(
            ClipResult(
                hold=hold,
                n_way=n_way,
                rate=100 * rate,
                **mean,
                worst_tenth=_percent(named[: max(1, n_galleries // 10)]),
                other_occasion=_percent(other) if other else None,
                plain_named=_percent(known >= threshold),
                plain_auroc=round(auroc(known, strange), 2),
            )
        )
    return results


def _draw(rng: np.random.Generator, clips: Sequence[SeenClip], n_way: int) -> list[SeenClip]:
    """One clip of each of `n_way` random things."""
    groups = rng.choice(sorted({clip.clip.group for clip in clips}), n_way, replace=False)
    order = rng.permutation(len(clips))
    return [next(clips[i] for i in order if clips[i].clip.group == group) for group in groups]


def _strangers(taught: Sequence[SeenClip], clips: Sequence[SeenClip]) -> NDArray[np.float32]:
    groups = {clip.clip.group for clip in taught}
    return np.concatenate([clip.embeddings[::4] for clip in clips if clip.clip.group not in groups])


def _plain_scores(
    taught: Sequence[SeenClip], clips: Sequence[SeenClip], hold: float | str
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The plain rule's best score of known frames, -1 where it is another thing's, and of strangers."""
    prototypes = np.stack([clip.embeddings[clip.taught(hold)].mean(axis=0) for clip in taught])
    prototypes /= np.linalg.norm(prototypes, axis=1, keepdims=True)
    known = []
    for row, clip in enumerate(taught):
        scores = _unit(clip.embeddings[clip.known(hold)]) @ prototypes.T
        known.append(np.where(scores.argmax(axis=1) == row, scores.max(axis=1), -1.0))
    return np.concatenate(known), np.asarray((_unit(_strangers(taught, clips)) @ prototypes.T).max(axis=1), np.float64)


def _measure(
    recognizer: Recognizer, taught: Sequence[SeenClip], clips: Sequence[SeenClip], hold: float | str
) -> dict[str, float]:
    """Teach a gallery and measure it; the gallery is empty again afterwards."""
    labels = [clip.clip.group for clip in taught]
    for label, clip in zip(labels, taught, strict=True):
        recognizer.enroll_observed(label, [clip.seen[i] for i in np.flatnonzero(clip.taught(hold))])
    shares = [_shares(recognizer.match_many(clip.embeddings[clip.known(hold)]), clip.clip.group) for clip in taught]
    other = [
        _shares(recognizer.match_many(clip.embeddings[::2]), clip.clip.group)[0]
        for clip in clips
        if clip.clip.group in labels and all(clip is not one for one in taught)
    ]
    strangers = _shares(recognizer.match_many(_strangers(taught, clips)), None)
    for label in labels:
        recognizer.forget(label)
    named, maybe, unknown, wrong = np.mean(shares, axis=0)
    return {
        "named": named,
        "maybe": maybe,
        "unknown": unknown,
        "wrong": wrong,
        "other": float(np.mean(other)) if other else float("nan"),
        "strangers": strangers[3],
        "strangers_maybe": strangers[1],
    }


def _shares(answers: Sequence[Recognition], group: str | None) -> tuple[float, float, float, float]:
    """Which shares of answers are the right name, "maybe", "unknown" and a wrong name."""
    right = np.array([answer.label is not None and answer.label == group for answer in answers])
    wrong = np.array([answer.label is not None and answer.label != group for answer in answers])
    maybe = np.array([answer.certainty == "maybe" for answer in answers])
    return float(right.mean()), float(maybe.mean()), float((~right & ~wrong & ~maybe).mean()), float(wrong.mean())


def _percent(values: Sequence[float] | NDArray[np.bool_]) -> float:
    return round(100 * float(np.mean(values)), 2)


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))

"""Open-set evaluation: how well "unknown" works, over many random galleries, through the recogniser's own decision.

A gallery enrols half of the classes it draws with `n_shot` pictures each; the other half are strangers nobody taught.
Every picture is embedded once; galleries are then cheap. Reported per head:

AUROC            known frames above stranger frames, ranked by score minus threshold: 50 is luck, 100 perfect
plain AUROC      the same ranked by the plain best cosine to a class mean, for comparison
false accepts    share of stranger frames that were given a name, at the rate asked for
false rejects    share of known frames called unknown;  wrong names: share given another class's name
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from runtime.matching.calibration import Prior
from runtime.matching.gallery_matcher import Matchers
from runtime.matching.heads import HEADS

from edgefs.errors import DataError
from edgefs.evaluation.metrics import auroc, mean_and_interval
from runtime.bundle import Bundle
from runtime.engines import open_engine
from runtime.gallery import ClassShots
from runtime.matching.matcher import ACCEPTED, Matcher
from runtime.matching.prototypes import Rows, class_mean
from runtime.model import typical_distance

EMBED_AT_ONCE = 64  # pictures handed to an engine
MAX_QUERIES = 10  # of each class and gallery


@dataclass(frozen=True)
class OpenSet:
    """Means over galleries, in percent, each with the half width of its 95 % interval over galleries."""

    head: str
    auroc: tuple[float, float]
    plain_auroc: tuple[float, float]
    false_accepts: tuple[float, float]
    false_rejects: tuple[float, float]
    wrong_names: tuple[float, float]
    stranger_rate: float
    n_known: int
    n_shot: int
    n_galleries: int
    heads_chosen: dict[str, int]


@dataclass(frozen=True, eq=False)
class Draw:
    """One random gallery.  shots: `float32 [n, D]` per class.  queries with their class; strangers."""

    shots: list[NDArray[np.float32]]
    queries: NDArray[np.float32]
    truth: NDArray[np.int64]
    strangers: NDArray[np.float32]


def draws(
    embeddings: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    n_way: int | None,
    n_shot: int,
    n_galleries: int,
    seed: int,
) -> Iterator[Draw]:
    """Draw galleries of n_way classes and as many strangers; n_way=None: half of all classes. Raises DataError."""
    rng = np.random.default_rng(seed)
    classes = np.array([c for c in np.unique(labels) if (labels == c).sum() > n_shot])
    half = n_way or len(classes) // 2
    if half < 1 or 2 * half > len(classes):
        raise DataError(
            f"{half} classes to enrol and as many strangers need {2 * half} classes of more than {n_shot} pictures, "
            f"but there are {len(classes)}; ask for fewer ways or shots"
        )
    rows = {c: np.flatnonzero(labels == c) for c in classes}
    for _ in range(n_galleries):
        picked = rng.permutation(classes)[: 2 * half]
        order = [rng.permutation(rows[c]) for c in picked]
        queries = [own[n_shot : n_shot + MAX_QUERIES] for own in order[:half]]
        yield Draw(
            [embeddings[own[:n_shot]] for own in order[:half]],
            embeddings[np.concatenate(queries)],
            np.repeat(np.arange(half), [len(own) for own in queries]),
            embeddings[np.concatenate([own[:MAX_QUERIES] for own in order[half:]])],
        )


def open_set(
    embeddings: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    prior: Prior,
    metric: str,
    background: NDArray[np.float32],
    heads: Sequence[str] = ("auto", *HEADS),
    n_way: int | None = None,
    n_shot: int = 5,
    n_galleries: int = 200,
    seed: int = 0,
) -> list[OpenSet]:
    """Evaluate heads on embeddings `float32 [N, D]` with labels `int [N]`; all see the same galleries."""
    dim = embeddings.shape[1]
    figures: dict[str, list[list[float]]] = {head: [] for head in heads}
    chosen: dict[str, dict[str, int]] = {head: {} for head in heads}
    n_known = 0
    for draw in draws(embeddings, labels, n_way=n_way, n_shot=n_shot, n_galleries=n_galleries, seed=seed):
        n_known = len(draw.shots)
        gallery, plain = _gallery(draw.shots), _plain_auroc(draw, metric)
        for name in heads:
            matchers = Matchers(metric, dim, background, prior=prior, choice=name, scale=prior.scale)
            matcher = matchers.matcher(gallery)
            assert matcher.head
            chosen[name][matcher.head.name] = chosen[name].get(matcher.head.name, 0) + 1
            figures[name].append([plain, *_measure(matcher, draw)])
    reports = []
    for each in heads:
        own, ranked, accepts, rejects, wrong = (mean_and_interval(column) for column in np.array(figures[each]).T)
        facts = prior.stranger_rate, n_known, n_shot, n_galleries, chosen[each]
        reports.append(OpenSet(each, ranked, own, accepts, rejects, wrong, *facts))
    return reports


def evaluate_open_set(
    source: str | Path,
    *,
    data: str,
    root: str | Path,
    split: str = "test",
    shots: Sequence[int] = (5,),
    stranger_rate: float = 0.05,
    heads: Sequence[str] = ("auto", *HEADS),
    n_galleries: int = 200,
    seed: int = 0,
    engine: str = "auto",
    threads: int | None = None,
    variant: str = "lake",
    bad_files: str = "fail",
    download: bool = False,
) -> list[OpenSet]:
    """Open-set figures of a bundle, through any engine, on any named image set; every picture is embedded once."""
    from edgefs.data import load

    bundle = Bundle.load(source)
    options: dict[str, Any] = {"variant": variant} if data == "omniglot" else {}
    images = load(data, root, split, preprocess=bundle.preprocess, policy=bad_files, download=download, **options)
    at_work = open_engine(bundle, engine, threads=threads)
    try:
        starts = range(0, len(images), EMBED_AT_ONCE)
        parts = [at_work.embed(np.ascontiguousarray(images.images[i : i + EMBED_AT_ONCE])) for i in starts]
    finally:
        at_work.close()
    return [
        report
        for n_shot in shots
        for report in open_set(
            np.concatenate(parts),
            images.labels,
            prior=Prior(bundle.calibration, stranger_rate, typical_distance(bundle)),
            metric=bundle.metric,
            background=bundle.background(),
            heads=heads,
            n_shot=n_shot,
            n_galleries=n_galleries,
            seed=seed,
        )
    ]


def _measure(matcher: Matcher, draw: Draw) -> list[float]:
    """AUROC, false accepts, false rejects, wrong names, in percent."""
    known = [matcher.decide(z) for z in draw.queries]
    strange = [matcher.decide(z) for z in draw.strangers]
    above = [np.array([match.score - match.threshold for match in some]) for some in (known, strange)]
    accepted = np.array([match.check == ACCEPTED for match in known])
    right = np.array([match.row for match in known]) == draw.truth
    named = np.mean([match.check == ACCEPTED for match in strange])
    return [
        auroc(*above),
        100 * float(named),
        100 * float(1 - accepted.mean()),
        100 * float((accepted & ~right).mean()),
    ]


def _plain_auroc(draw: Draw, metric: str) -> float:
    means = Rows(np.stack([class_mean(shots, metric) for shots in draw.shots]), metric)
    known, strange = (means.scores_many(rows).max(axis=1).astype(np.float64) for rows in (draw.queries, draw.strangers))
    return auroc(known, strange)


def _gallery(shots: list[NDArray[np.float32]]) -> dict[str, ClassShots]:
    """Every picture is an occasion of its own: a burst."""
    gallery, first = {}, 0
    for number, rows in enumerate(shots):
        ids = np.arange(first, first + len(rows))
        first += len(rows)
        none = np.zeros((0, rows.shape[1]), np.float32)
        bursts = tuple(str(i) for i in ids)
        gallery[str(number)] = ClassShots(str(number), ids, rows, bursts, np.ones(len(rows), np.float32), none)
    return gallery

"""Open-set evaluation: how well "unknown" works, over many random galleries, through the recognizer's own decision.

A gallery enrols half of the classes it draws with `n_shot` pictures each; the other half are strangers that nobody
taught. Every picture is embedded once; galleries are then cheap. Reported in percent:

AUROC            known frames above stranger frames, ranked by score minus threshold: 50 is chance, 100 is perfect
plain AUROC      the same ranked by the plain best score against a class mean, for comparison
false accepts    share of stranger frames that were given a name, at the asked rate
false rejects    share of known frames that are not sure: "maybe" or "unknown"
maybe            share of known frames that are "maybe"
wrong names      share of known frames that were given the name of another class
plain rejects    share of known frames that one constant for all galleries would reject; it is chosen with hindsight, so
                 that the plain best score accepts exactly the asked share of strangers: the bound to approach
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefs.errors import DataError
from edgefs.evaluation.metrics import auroc, mean_and_interval
from runtime.bundle import Bundle
from runtime.engines import open_engine
from runtime.gallery import ClassShots
from runtime.matching.acceptance import Acceptance
from runtime.matching.matcher import Match, Matcher
from runtime.matching.prototypes import Prototypes, Rows, class_mean

EMBED_AT_ONCE = 64  # pictures handed to an engine
MAX_QUERIES = 10  # of each class and gallery


@dataclass(frozen=True)
class OpenSet:
    """Means over galleries, in percent, each with the half width of its 95 % interval; see the module docstring."""

    auroc: tuple[float, float]
    plain_auroc: tuple[float, float]
    false_accepts: tuple[float, float]
    false_rejects: tuple[float, float]
    maybe: tuple[float, float]
    wrong_names: tuple[float, float]
    plain_rejects: float
    stranger_rate: float
    n_known: int
    n_shot: int
    n_galleries: int


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
    bundle: Bundle,
    *,
    stranger_rate: float = 0.05,
    n_way: int | None = None,
    n_shot: int = 5,
    n_galleries: int = 200,
    seed: int = 0,
) -> OpenSet:
    """Evaluate the rule of a bundle on embeddings that it made.

    Args:
        embeddings: `float32 [N, D]`.
        labels: The class of each, `int [N]`.
        bundle: Its metric, table and cohort are used.
        stranger_rate: The asked share of strangers, 0..1.
        n_way: Classes of a gallery; None for half of all.
        n_shot: Pictures that teach a class.
        n_galleries: Random galleries.
        seed: Of the galleries.

    Raises:
        DataError: There are too few classes or pictures.
    """
    acceptance = Acceptance(bundle.calibration, bundle.cohort(), bundle.metric, stranger_rate)
    rows, plain_known, plain_strange, n_known = [], [], [], 0
    for draw in draws(embeddings, labels, n_way=n_way, n_shot=n_shot, n_galleries=n_galleries, seed=seed):
        n_known = len(draw.shots)
        prototypes = Prototypes(bundle.metric, bundle.dim).update(_gallery(draw.shots))
        matcher = Matcher(prototypes, acceptance.thresholds(prototypes, embeddings[:0]))
        known, strange = _plain_scores(draw, bundle.metric)
        plain_known.append(known)
        plain_strange.append(strange)
        rows.append([auroc(known, strange), *_measure(matcher, draw)])
    threshold = np.quantile(np.concatenate(plain_strange), 1 - stranger_rate)
    plain, own, accepts, rejects, maybe, wrong = (mean_and_interval(column) for column in np.array(rows).T)
    return OpenSet(
        auroc=own,
        plain_auroc=plain,
        false_accepts=accepts,
        false_rejects=rejects,
        maybe=maybe,
        wrong_names=wrong,
        plain_rejects=100 * float((np.concatenate(plain_known) < threshold).mean()),
        stranger_rate=stranger_rate,
        n_known=n_known,
        n_shot=n_shot,
        n_galleries=n_galleries,
    )


def evaluate_open_set(
    source: str | Path,
    *,
    data: str,
    root: str | Path,
    split: str = "test",
    shots: Sequence[int] = (5,),
    stranger_rate: float = 0.05,
    n_galleries: int = 200,
    seed: int = 0,
    engine: str = "auto",
    threads: int | None = None,
    device: str | None = None,
    variant: str = "lake",
    bad_files: str = "fail",
    download: bool = False,
) -> list[OpenSet]:
    """Open-set figures of a bundle on a named image set, one for each number of shots; arguments as in `evaluate`."""
    from edgefs.data import load

    bundle = Bundle.load(source)
    options: dict[str, Any] = {"variant": variant} if data == "omniglot" else {}
    images = load(data, root, split, preprocess=bundle.preprocess, policy=bad_files, download=download, **options)
    opened = open_engine(bundle, engine, threads=threads, device=device)
    try:
        starts = range(0, len(images), EMBED_AT_ONCE)
        parts = [opened.embed(np.ascontiguousarray(images.images[i : i + EMBED_AT_ONCE])) for i in starts]
    finally:
        opened.close()
    embeddings, common = np.concatenate(parts), {"n_galleries": n_galleries, "seed": seed}
    return [
        open_set(embeddings, images.labels, bundle, stranger_rate=stranger_rate, n_shot=n_shot, **common)
        for n_shot in shots
    ]


def _measure(matcher: Matcher, draw: Draw) -> list[float]:
    """AUROC, false accepts, false rejects, maybe and wrong names, in percent."""
    known = [matcher.decide(z) for z in draw.queries]
    strange = [matcher.decide(z) for z in draw.strangers]
    above = [np.array([match.score - match.threshold for match in some]) for some in (known, strange)]
    right = np.array([match.row for match in known]) == draw.truth
    accepted = _are(known, "sure")
    shares = _are(strange, "sure").mean(), 1 - accepted.mean(), _are(known, "maybe").mean(), (accepted & ~right).mean()
    return [auroc(*above), *(100 * float(share) for share in shares)]


def _are(matches: Sequence[Match], certainty: str) -> NDArray[np.bool_]:
    return np.array([match.certainty == certainty for match in matches])


def _plain_scores(draw: Draw, metric: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The best score against a class mean, of known frames and of strangers."""
    means = Rows(np.stack([class_mean(shots, metric) for shots in draw.shots]), metric)
    known, strange = (means.scores_many(rows).max(axis=1).astype(np.float64) for rows in (draw.queries, draw.strangers))
    return known, strange


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

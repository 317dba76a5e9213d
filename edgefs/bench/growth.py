"""What a growing gallery costs: `match` and storing a shot, from ten shots to a hundred thousand, in memory."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from edgefs.bench.clock import Clock, Sample
from edgefs.bench.percentiles import figures
from edgefs.bench.subjects import teach
from runtime.bundle import Bundle
from runtime.engines.fake import FakeEngine
from runtime.gallery import NewShot
from runtime.recognizer import Recognizer

SHOTS = (10, 100, 1_000, 10_000, 100_000)
SHOTS_PER_CLASS = 20
SAMPLES, ADDED = 200, 40


def growth(bundle: Bundle, sizes: Sequence[int] = SHOTS) -> Iterator[dict[str, Any]]:
    """For each number of shots: matching an embedding, adding one shot, memory; undisturbed where there is enough.

    The engine is a double that costs the same at every size, so that only the gallery is measured.
    """
    clock = Clock()
    for n_shots in sizes:
        with Recognizer(bundle, engine=FakeEngine(bundle.dim)) as recognizer:
            n_classes = math.ceil(n_shots / SHOTS_PER_CLASS)
            start = time.perf_counter()
            teach(recognizer, n_classes, min(n_shots, SHOTS_PER_CLASS))
            filled_s = time.perf_counter() - start
            matches = [_match(clock, recognizer, _shot(bundle.dim, seed)) for seed in range(SAMPLES)]
            added = [_add(clock, recognizer, _shot(bundle.dim, seed)) for seed in range(ADDED)]
        match, enroll = figures(matches), figures(added)
        yield {
            "shots": n_shots,
            "classes": n_classes,
            "match_p50_ms": match["undisturbed_p50_ms"] or match["p50_ms"],
            "match_p90_ms": match["undisturbed_p90_ms"] or match["p90_ms"],
            "enroll_shot_p50_ms": enroll["undisturbed_p50_ms"] or enroll["p50_ms"],
            "fill_s": round(filled_s, 3),
            "embeddings_mb": round(n_shots * bundle.dim * 4 / 1e6, 3),
        }
    clock.close()


def _match(clock: Clock, recognizer: Recognizer, shot: NewShot) -> Sample:
    return clock(lambda: recognizer.match(shot.embedding))


def _add(clock: Clock, recognizer: Recognizer, shot: NewShot) -> Sample:
    def store() -> None:
        recognizer.gallery.add("class 0 0", [shot])
        recognizer.refresh()

    return clock(store)


def _shot(dim: int, seed: int) -> NewShot:
    shot = np.random.default_rng(1_000 + seed).standard_normal(dim).astype(np.float32)
    return NewShot(shot / np.linalg.norm(shot), None, "bench", 1.0, "bench", time.time())

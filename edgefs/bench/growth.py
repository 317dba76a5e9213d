"""What a growing gallery costs: `match` and storing one shot, from ten to a hundred thousand shots, in memory."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from edgefs.bench.clock import Clock, figures, typical
from edgefs.bench.subjects import random_shots, teach
from runtime.bundle import Bundle
from runtime.engines.fake import FakeEngine
from runtime.gallery import NewShot
from runtime.recognizer import Recognizer

SHOTS = (10, 100, 1_000, 10_000, 100_000)
SHOTS_PER_CLASS = 20
SAMPLES, ADDED = 200, 40


def growth(bundle: Bundle, sizes: Sequence[int] = SHOTS) -> Iterator[dict[str, Any]]:
    """Yield for each number of shots: time to match an embedding, time to add one shot, memory.

    A test engine that costs the same at every size is used, so that only the gallery is measured.
    """
    clock = Clock()
    for n_shots in sizes:
        with Recognizer(bundle, engine=FakeEngine(bundle.dim)) as recognizer:
            n_classes = math.ceil(n_shots / SHOTS_PER_CLASS)
            start = time.perf_counter()
            teach(recognizer, n_classes, min(n_shots, SHOTS_PER_CLASS))
            filled_s = time.perf_counter() - start

            def store(shot: NewShot, recognizer: Recognizer = recognizer) -> None:
                recognizer.gallery.add("class 0", [shot])
                recognizer.gallery.refresh()

            queries = random_shots(bundle.dim, SAMPLES, np.random.default_rng(1_000))
            match = figures([clock(lambda q=q: recognizer.match(q.embedding)) for q in queries])  # type: ignore[misc]
            added = figures([clock(lambda q=q: store(q)) for q in queries[:ADDED]])  # type: ignore[misc]
        yield {
            "shots": n_shots,
            "classes": n_classes,
            "match_p50_ms": typical(match),
            "match_p90_ms": typical(match, "p90_ms"),
            "enroll_shot_p50_ms": typical(added),
            "fill_s": round(filled_s, 3),
            "embeddings_mb": round(n_shots * bundle.dim * 4 / 1e6, 3),
        }
    clock.close()

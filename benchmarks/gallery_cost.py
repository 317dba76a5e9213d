"""What a gallery costs at 512 dimensions on one thread: recognising, loading, a shot more and the first frame after it,
looking back over an hour of answers, memory. (`benchmarks.gallery` has how matching grows, up to a million shots.)

    OPENBLAS_NUM_THREADS=1 python -m benchmarks.gallery_cost

Classes are random directions with shots around them. "a shot more" is stored in a gallery in memory, "with commit" in
a file; "first frame" is what the next answer waits for.
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from benchmarks.common import save
from edgefs.bench.clock import Clock, Sample
from edgefs.bench.growth import SHOTS_PER_CLASS
from edgefs.reports.tables import table
from runtime.explain import preview_reject
from runtime.gallery import ClassShots, NewShot, open_gallery
from runtime.matching.acceptance import Acceptance
from runtime.matching.matcher import Matcher, recognition_of
from runtime.matching.prototypes import Prototypes
from runtime.stream.recent_answers import CAPACITY, RecentAnswer

DIM, COHORT, SPREAD = 512, 500, 1.2
SIZES = (10, 100, 1_000)  # classes of SHOTS_EACH shots
SHOTS_EACH = 10
LOADED = 100_000


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def shots(n_classes: int, n_each: int, dim: int = DIM) -> Iterator[tuple[str, NewShot, bool]]:
    """Bursts of five, around a direction per class."""
    rng = np.random.default_rng(0)
    for c in range(n_classes):
        rows = unit(rng.standard_normal(dim) + SPREAD * rng.standard_normal((n_each, dim)))
        for i, row in enumerate(rows):
            yield f"class {c}", NewShot(row, None, f"{c} {i // 5}", 1.0, "benchmark", 0.0), False


# A table of plausible numbers: what it says does not change what it costs.
TABLE = {
    "version": 2, "cap": 0.85, "twin": 0.82, "sizes": [1, 40], "mean": [0.0, 0.1],
    "rates": [0.01, 0.4], "excess": [[0.4, 0.1], [0.3, 0.1]],
}  # fmt: skip


class GalleryMatcher:
    """The matcher of a gallery, brought up to date as `runtime/model.py` does it."""

    def __init__(self) -> None:
        cohort = unit(np.random.default_rng(1).standard_normal((COHORT, DIM)))
        self._acceptance, self._prototypes = Acceptance(TABLE, cohort, "cosine", 0.05), Prototypes("cosine", DIM)

    def update(self, classes: Mapping[str, ClassShots]) -> Matcher:
        self._prototypes = self._prototypes.update(classes)
        return Matcher(self._prototypes, self._acceptance.thresholds(self._prototypes, np.zeros((0, DIM), np.float32)))


def p50_ms(clock: Clock, work: Callable[[int], object], n: int) -> float:
    return middle([clock(lambda i=i: work(i)) for i in range(n)])  # type: ignore[misc]


def middle(samples: list[Sample]) -> float:
    """The median, of the uncontended ones if there are five."""
    uncontended = [sample.ms for sample in samples if sample.uncontended]
    return round(float(np.median(uncontended if len(uncontended) >= 5 else [sample.ms for sample in samples])), 3)


def recognising(clock: Clock, n_classes: int) -> float:
    """One answer, embedded already."""
    with open_gallery(None, fingerprint="benchmark", dim=DIM) as gallery:
        gallery.add_all(shots(n_classes, SHOTS_EACH), "benchmark")
        queries = [own.embeddings[0] for own in list(gallery.classes.values())[:100]]
        matcher = GalleryMatcher().update(gallery.classes)
        return p50_ms(clock, lambda i: matcher.decide(queries[i % 100]), 500)


def changing(clock: Clock, n_classes: int, folder: Path) -> dict[str, float]:
    """A shot more and the frame after it."""
    one = [shot for _, shot, _ in shots(1, 60)]
    found = {}
    with open_gallery(folder / f"{n_classes}.db", fingerprint="benchmark", dim=DIM) as stored:
        stored.add_all(shots(n_classes, SHOTS_EACH), "benchmark")
        found["a shot more, with commit"] = p50_ms(clock, lambda i: stored.add("class 0", [one[i]]), 40)
    with open_gallery(None, fingerprint="benchmark", dim=DIM) as gallery:
        gallery.add_all(shots(n_classes, SHOTS_EACH), "benchmark")
        matcher = GalleryMatcher()
        start = time.perf_counter()
        matcher.update(gallery.classes)
        found["first frame ever"] = round((time.perf_counter() - start) * 1e3, 2)
        adding, frames = [], []
        for shot in one:
            adding.append(clock(lambda s=shot: gallery.add("class 1", [s])))  # type: ignore[misc]
            frames.append(clock(lambda: matcher.update(gallery.classes)))
        found["a shot more"] = middle(adding)
        found["first frame"] = middle(frames)
        found["slowest first frame"] = round(max(sample.ms for sample in frames), 2)
    return found


def looking_back(clock: Clock, n_classes: int) -> float:
    """What a "not this" would change in an hour of answers, one a second."""
    with open_gallery(None, fingerprint="benchmark", dim=DIM) as gallery:
        gallery.add_all(shots(n_classes, SHOTS_EACH), "benchmark")
        matcher = GalleryMatcher().update(gallery.classes)
        rows = np.concatenate([own.embeddings for own in list(gallery.classes.values())[:400]])
        answers = [_answer(matcher, rows[i % len(rows)], i) for i in range(CAPACITY)]
        label = matcher.prototypes.classes[0].shots.label
        return p50_ms(clock, lambda i: preview_reject(matcher, label, rows[i], answers), 8)


def _answer(matcher: Matcher, embedding: np.ndarray, id_: int) -> RecentAnswer:
    answer = recognition_of(matcher.decide(embedding), matcher.prototypes, {}, embedding)
    return RecentAnswer(id_, answer, None, float(id_))


def loading(folder: Path) -> dict[str, float]:
    """100,000 shots, every digest checked, in a process of its own, where memory can be told."""
    path = folder / "large.db"
    with open_gallery(path, fingerprint="benchmark", dim=DIM) as gallery:
        gallery.add_all(shots(LOADED // SHOTS_PER_CLASS, SHOTS_PER_CLASS), "benchmark")
    file_kb = path.stat().st_size / 1024 / LOADED * 1000
    runs = [_in_own_process(path) for _ in range(3)]
    seconds, frame_ms, memory_kb = (sorted(values)[1] for values in zip(*runs, strict=True))
    return {
        "load_s": seconds,
        "first_frame_ms": frame_ms,
        "memory_kb_per_1000_shots": round(memory_kb / LOADED * 1000, 1),
        "file_kb_per_1000_shots_without_pictures": round(file_kb, 1),
    }


def _in_own_process(path: Path) -> tuple[float, float, float]:
    words = [sys.executable, "-m", "benchmarks.gallery_cost", "--load", str(path)]
    seconds, frame_ms, kb = subprocess.run(words, check=True, capture_output=True, text=True).stdout.split()
    return float(seconds), float(frame_ms), float(kb)


def load_here(path: str) -> None:
    """Load a gallery and say how long it took, how long its first frame, and by how much memory grew, in kB."""
    matcher, before = GalleryMatcher(), _resident_kb()
    start = time.perf_counter()
    gallery = open_gallery(path, fingerprint="benchmark", dim=DIM)
    loaded = time.perf_counter()
    grown = _resident_kb() - before
    matcher.update(gallery.classes)
    print(f"{loaded - start:.3f} {(time.perf_counter() - loaded) * 1e3:.1f} {grown}")
    gallery.close()


def _resident_kb() -> float:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--load", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.load:
        load_here(args.load)
        return
    clock, found = Clock(), {"dim": DIM, "blas_threads": os.environ.get("OPENBLAS_NUM_THREADS")}
    found["recognise_1000_classes_ms"] = recognising(clock, 1_000)
    print(f"recognise, 1,000 classes, ms: {found['recognise_1000_classes_ms']}", flush=True)
    with tempfile.TemporaryDirectory() as name:
        rows = [{"classes": n, **changing(clock, n, Path(name))} for n in SIZES]
        print(table([tuple(row.values()) for row in rows], tuple(rows[0])), flush=True)
        found["changing_ms"] = rows
        found["look_back_over_3600_answers_ms"] = {str(n): looking_back(clock, n) for n in SIZES}
        print(
            f"look back over {CAPACITY} answers, ms by classes: {found['look_back_over_3600_answers_ms']}", flush=True
        )
        found["100000_shots"] = loading(Path(name))
        print(f"100,000 shots: {found['100000_shots']}", flush=True)
    clock.close()
    print(f"written to {save('gallery-cost', found)}")


if __name__ == "__main__":
    main()

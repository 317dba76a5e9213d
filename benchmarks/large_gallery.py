"""One answer of a gallery of a thousand to a million classes: through the index beside comparing every class.

    edgefs embed PICTURES --out EMBEDDED
    OPENBLAS_NUM_THREADS=1 python -m benchmarks.large_gallery EMBEDDED [--classes 1000 10000 100000 1000000]

A class has one shot. There are not a million pictures at hand, so a shot is a real embedding moved up to halfway to
another real one. Half of the queries are such shots again with noise, and half are embeddings of pictures that no class
was made of. Both ways are asked in turn, with the same thresholds, on one thread. A change and the first answer after
it are timed apart: the change in a gallery in memory, the answer from what has to be derived again.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import result_path, save
from edgefs.bench.clock import Clock, figures, typical
from runtime.bundle import Bundle
from runtime.gallery import ClassShots, NewShot, open_gallery
from runtime.matching import large
from runtime.matching.acceptance import Acceptance
from runtime.matching.matcher import Matcher
from runtime.matching.prototypes import Prototypes
from runtime.models import default_bundle

SIZES = (1_000, 10_000, 100_000, 1_000_000)
EXPANSIONS = (128, 256, 512, 1024)
QUERIES, HELD_OUT = 500, 10  # of each kind; one in ten pictures is held out
CHANGES = 5  # of each kind
NOISE = 0.05  # in each direction; the cosine to the shot is then about 0.78


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def read(folder: Path) -> np.ndarray:
    import pyarrow.dataset

    column = pyarrow.dataset.dataset(folder, format="parquet").to_table(["embedding"])["embedding"].combine_chunks()
    return np.asarray(column.flatten()).reshape(len(column), -1)


def shots(pool: np.ndarray, n: int, rng: np.random.Generator) -> np.ndarray:
    found = np.empty((n, pool.shape[1]), np.float32)
    for at in range(0, n, 10_000):
        part = found[at : at + 10_000]
        one, other = rng.integers(len(pool), size=(2, len(part)))
        share = rng.uniform(0, 0.5, (len(part), 1)).astype(np.float32)
        part[:] = unit(pool[one] * (1 - share) + pool[other] * share)
    return found


def classes_of(rows: np.ndarray) -> dict[str, ClassShots]:
    ones, none = np.ones(1, np.float32), rows[:0]
    return {str(i): ClassShots(str(i), np.array([i]), row[None], ("0",), ones, none) for i, row in enumerate(rows)}


def measure(bundle: Bundle, pool: np.ndarray, n_classes: int) -> dict[str, Any]:
    rng, before = np.random.default_rng(n_classes), _resident_mb()
    held_out, pool = pool[::HELD_OUT], np.delete(pool, np.s_[::HELD_OUT], axis=0)
    rows = shots(pool, n_classes, rng)
    classes = classes_of(rows)
    gallery_mb = _resident_mb() - before
    no_frames = rows[:0]
    acceptance = Acceptance(bundle.calibration, bundle.cohort(), bundle.metric, 0.05)
    start = time.perf_counter()
    prototypes = Prototypes(bundle.metric, bundle.dim).update(classes)
    prototypes_s, start, cpu = time.perf_counter() - start, time.perf_counter(), time.process_time()
    if prototypes.index:
        prototypes.index[0].wait()
    index_s, index_cpu_s, start = time.perf_counter() - start, time.process_time() - cpu, time.perf_counter()
    matcher = Matcher(prototypes, acceptance.thresholds(prototypes, no_frames))
    found: dict[str, Any] = {
        "classes": n_classes,
        "prototypes_s": round(prototypes_s, 2),
        "index_s": round(index_s, 2) if prototypes.index else None,
        "index_cpu_s": round(index_cpu_s, 2) if prototypes.index else None,
        "thresholds_s": round(time.perf_counter() - start, 2),
        "gallery_mb": round(gallery_mb),
        "index_mb": round(prototypes.index[0].size_bytes / 1e6) if prototypes.index else None,
        "process_mb": round(_resident_mb()),
        **changing(bundle, acceptance, prototypes, classes),
    }
    known = unit(rows[rng.integers(n_classes, size=QUERIES)] + NOISE * rng.standard_normal((QUERIES, bundle.dim)))
    every = Matcher(Prototypes(bundle.metric, bundle.dim, prototypes.classes), matcher.thresholds)
    every.decide(known[0])  # the matrix of all prototypes is made here
    found["process_with_matrix_mb"] = round(_resident_mb())
    found |= asked({"known": known, "strangers": held_out[:QUERIES]}, matcher, every)
    return {**found, **storing(bundle, rows)}


def asked(kinds: dict[str, np.ndarray], matcher: Matcher, every: Matcher) -> dict[str, Any]:
    """Ask both matchers in turn; that with the index once for each number of nodes that a search may look at."""
    clock, index = Clock(), matcher.prototypes.index
    times: dict[Any, list[Any]] = defaultdict(list)
    same: dict[Any, list[bool]] = defaultdict(list)
    for kind, queries in kinds.items():
        for z in queries:
            found: dict[Any, Any] = {}
            times["exact"].append(clock(lambda: found.update(exact=every.decide(z))))  # noqa: B023 - called at once
            for nodes in EXPANSIONS if index else (0,):
                if index:
                    index[0].expansion = nodes
                times[nodes].append(clock(lambda: found.update(answer=matcher.decide(z))))  # noqa: B023
                same[nodes, kind].append(found["answer"].row == found["exact"].row)
                same[nodes, "certainty"].append(found["answer"].certainty == found["exact"].certainty)
    clock.close()
    return {"exact": _times(times["exact"])} | {
        f"answer, {nodes} nodes" if nodes else "answer": {
            **_times(times[nodes]),
            **{f"same {what}": round(float(np.mean(same[nodes, what])), 4) for what in (*kinds, "certainty")},
        }
        for nodes in (EXPANSIONS if index else (0,))
    }


def _times(samples: list[Any]) -> dict[str, float]:
    found = figures(samples)
    return {"p50_ms": typical(found), "p90_ms": typical(found, "p90_ms")}


def changing(bundle: Bundle, acceptance: Acceptance, prototypes: Prototypes, classes: Any) -> dict[str, Any]:
    """What the first answer after a change waits for; the middle one of several changes of each kind."""
    rng, none = np.random.default_rng(1), np.zeros((0, bundle.dim), np.float32)
    found: dict[str, list[float]] = defaultdict(list)
    for change in range(CHANGES):
        new = unit(rng.standard_normal(bundle.dim))
        label = f"new {change}"
        fewer = dict(list(classes.items())[1:])
        classes = {**fewer, label: ClassShots(label, np.array([0]), new[None], ("0",), np.ones(1, np.float32), none)}
        for name, changed in (("class_forgotten_s", fewer), ("class_added_s", classes)):
            start = time.perf_counter()
            prototypes = prototypes.update(changed)
            matcher = Matcher(prototypes, acceptance.thresholds(prototypes, none))
            row = matcher.decide(new).row
            found[name].append(time.perf_counter() - start)
        assert prototypes.classes[row].shots.label == label, row
    return {name: round(float(np.median(seconds)), 4) for name, seconds in found.items()}


def storing(bundle: Bundle, rows: np.ndarray) -> dict[str, Any]:
    """What the change itself takes in a gallery in memory."""
    rng, found = np.random.default_rng(2), defaultdict(list)
    with open_gallery(None, fingerprint=bundle.fingerprint, dim=bundle.dim) as gallery:
        gallery.add_all(((str(i), _shot(row), False) for i, row in enumerate(rows)), "benchmark")
        for change in range(CHANGES):
            one = _shot(unit(rng.standard_normal(bundle.dim)))
            for name, work in (
                ("storing_class_forgotten_s", lambda: gallery.forget(str(change))),  # noqa: B023 - called at once
                ("storing_class_added_s", lambda: gallery.add(f"new {change}", [one])),  # noqa: B023
            ):
                start = time.perf_counter()
                work()
                found[name].append(time.perf_counter() - start)
    return {name: round(float(np.median(seconds)), 4) for name, seconds in found.items()}


def _shot(row: np.ndarray) -> NewShot:
    return NewShot(row, None, "0", 1.0, "benchmark", 0.0)


def _resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("embedded", type=Path)
    parser.add_argument("--classes", type=int, nargs="*", default=SIZES, help="sizes; rows of other sizes are kept")
    args = parser.parse_args()
    bundle, pool = default_bundle(), read(args.embedded)
    path = result_path("large-gallery")
    rows = {row["classes"]: row for row in json.loads(path.read_text())["rows"]} if path.exists() else {}
    for n_classes in args.classes:
        rows[n_classes] = measure(bundle, pool, n_classes)
        print(json.dumps(rows[n_classes], indent=1), flush=True)
    found = {
        "bundle": bundle.name,
        "dim": bundle.dim,
        "pictures": len(pool),
        "index_from_classes": large.LARGE,
        "nodes": large.EXPANSION,
        "blas_threads": os.environ.get("OPENBLAS_NUM_THREADS"),
        "rows": [rows[n] for n in sorted(rows)],
    }
    print(f"written to {save('large-gallery', found)}")


if __name__ == "__main__":
    main()

"""What `recognize()` costs beyond the bare engine, and what more classes cost: side by side, call by call, in one run.

    python -m benchmarks.latency [--bundle PATH] [--samples 700] [--threads 1]

The two are called in turn on the same frame, so that a busy machine slows both alike; quote the ratio.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from benchmarks.common import percentiles, save, timed_ms
from edgefs.cli.options import load_bundle, table
from runtime.engines import AUTO
from runtime.errors import EngineError
from runtime.gallery import NewShot
from runtime.recognizer import Recognizer

WARM_UP = 30


def recognize_over_engine(recognizer: Recognizer, frame: np.ndarray, samples: int) -> dict[str, Any]:
    """Time the bare engine on the prepared input and `recognize` on the 720p frame, in turn."""
    prepared = recognizer.bundle.preprocess(frame)[None]
    bare, whole = [], []
    for i in range(samples + WARM_UP):
        engine_sample = timed_ms(lambda: recognizer.engine.embed(prepared))
        recognize_sample = timed_ms(lambda: recognizer.recognize(frame))
        if i >= WARM_UP:
            bare.append(engine_sample)
            whole.append(recognize_sample)
    engine, recognize = percentiles(bare), percentiles(whole)
    ratio = recognize["p50_ms"] / engine["p50_ms"]
    return {"engine": engine, "recognize": recognize, "recognize_over_engine_p50": round(ratio, 3)}


def fill(recognizer: Recognizer, n_classes: int, n_shots: int = 5) -> None:
    """Fill a gallery with random unit vectors."""
    rng = np.random.default_rng(0)
    for c in range(n_classes):
        shots = rng.standard_normal((n_shots, recognizer.bundle.dim)).astype(np.float32)
        shots /= np.linalg.norm(shots, axis=1, keepdims=True)
        recognizer.gallery.add(f"class {c}", [NewShot(shot, None, "b", 1.0, "benchmark", 0.0) for shot in shots])
    recognizer.undo()  # derive the prototypes once, through the public door


def growth(bundle, threads: int, frame: np.ndarray, samples: int) -> dict[str, object]:  # type: ignore[no-untyped-def]
    """`match` time with 10 and with 1,000 classes of 5 shots, in turn."""
    few, many = (Recognizer(bundle, engine="auto", threads=threads) for _ in range(2))
    fill(few, 11)
    fill(many, 1001)
    times: dict[int, list[tuple[float, bool]]] = {10: [], 1000: []}
    for i in range(samples + WARM_UP):
        for n_classes, recognizer in ((10, few), (1000, many)):
            match_ms = recognizer.recognize(frame).timings_ms["match"]
            if i >= WARM_UP:
                times[n_classes].append((match_ms, True))
    few.close()
    many.close()
    return {str(n): percentiles(values)["p50_ms"] for n, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle")
    parser.add_argument("--samples", type=int, default=700)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    bundle = load_bundle(args.bundle)
    frame = np.random.default_rng(0).integers(0, 256, (720, 1280, 3), np.uint8)
    engines: dict[str, Any] = {}
    figures = {"bundle": bundle.name, "threads": args.threads, "frame": "1280x720 BGR", "engines": engines}
    rows = []
    for name in AUTO:
        try:
            recognizer = Recognizer(bundle, engine=name, threads=args.threads)
        except EngineError as error:  # not installed, or the bundle has nothing for it
            print(error)
            continue
        with recognizer:
            fill(recognizer, 11)
            engines[name] = result = recognize_over_engine(recognizer, frame, args.samples)
        ratio = result["recognize_over_engine_p50"]
        rows.append((name, result["engine"]["p50_ms"], result["recognize"]["p50_ms"], ratio))
    print(table(rows, ("engine", "engine p50 ms", "recognize p50 ms", "ratio")))
    figures["match_p50_ms_by_classes"] = matches = growth(bundle, args.threads, frame, args.samples)
    print(f"match, p50: {matches['10']} ms with 10 classes, {matches['1000']} ms with 1,000")
    print(f"written to {save('latency', figures)}")


if __name__ == "__main__":
    main()

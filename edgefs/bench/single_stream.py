"""MLPerf's single-stream: one frame after the other, as a live camera delivers them, on all subjects in turn.

The bare engine and `recognize()` are called alternately, and the subjects take turns in short blocks. A busy moment of
the machine then affects all of them alike, so ratios within one run are reliable even where single figures are not. At
the end of each block the engine's library is called without our code, for `--compare`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from edgefs.bench.clock import Clock, Sample, figures
from edgefs.bench.subjects import Subject, make_picture
from runtime.opencv import decode_image, encode_jpeg

PAIRS = 8  # calls of each kind in a block
ENOUGH_BLOCKS = 40  # with an uncontended call of each kind: `--compare` then detects a change of a few percent
PATIENCE = 4  # a run takes at most so many times the requested seconds
STAGES = {"resize": "preprocess", "infer": "embed", "match": "match"}


class Run:
    """The samples of one subject, by kind of call ("engine", "recognize", perhaps "library") and by block."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        kinds = ("engine", "recognize", *(("library",) if subject.library else ()))
        self.samples: dict[str, list[list[Sample]]] = {kind: [] for kind in kinds}
        self._stages: dict[str, list[float]] = {stage: [] for stage in STAGES}
        self._calls = 0
        self.uncontended_blocks = 0

    def block(self, clock: Clock) -> None:
        """Make PAIRS calls of each kind, after one call of each to warm up."""
        engine, recognizer, library = self.subject.recognizer.engine, self.subject.recognizer, self.subject.library
        engine.embed(self.subject.inputs[0])
        recognizer.recognize(self.subject.frames[0])
        clock.refresh()  # engines start threads when they are first used
        now: dict[str, list[Sample]] = {kind: [] for kind in self.samples}
        for _ in range(PAIRS):
            self._calls += 1
            frame = self.subject.frames[self._calls % len(self.subject.frames)]
            inputs = self.subject.inputs[self._calls % len(self.subject.frames)]
            now["engine"].append(clock(lambda: engine.embed(inputs)))  # noqa: B023 - called before the next turn
            answers: list[Any] = []
            now["recognize"].append(clock(lambda: answers.append(recognizer.recognize(frame))))  # noqa: B023
            if now["recognize"][-1].uncontended:
                for stage, name in STAGES.items():
                    self._stages[stage].append(answers[0].timings_ms[name])
        if library:  # afterwards: its own copy of the weights would displace the engine's from the caches
            library(0)
            clock.refresh()
            now["library"] = [clock(lambda i=i: library(i)) for i in range(PAIRS)]  # type: ignore[misc]
        for kind, samples in now.items():
            self.samples[kind].append(samples)
        self.uncontended_blocks += all(any(sample.uncontended for sample in samples) for samples in now.values())

    def report(self) -> dict[str, Any]:
        """The figures of this subject; `--compare` works on `blocks`."""
        every = {kind: [sample for block in blocks for sample in block] for kind, blocks in self.samples.items()}
        engine, recognize = figures(every["engine"]), figures(every["recognize"])
        found: dict[str, Any] = {"recognize_p50_ms": recognize["p50_ms"]}
        for prefix in ("", "uncontended_"):
            ours, bare = recognize[f"{prefix}p50_ms"], engine[f"{prefix}p50_ms"]
            found[f"{prefix}engine_p50_ms"] = bare
            found[f"{prefix}recognize_over_engine"] = round(ours / bare, 3) if ours and bare else None
        del recognize["p50_ms"]
        return {
            **found,
            **recognize,
            "engine_call": engine,
            "stages_ms": {stage: _median(values) for stage, values in self._stages.items()},
            "blocks": {f"{kind}_ms": [_fastest(block) for block in blocks] for kind, blocks in self.samples.items()},
            "samples_ms": {
                kind: [round(sample.ms, 3) for sample in every[kind] if sample.uncontended][:2000]
                for kind in ("engine", "recognize")
            },
        }


def single_stream(
    subjects: Sequence[Subject], seconds: float, clock: Clock, conclusive: Callable[[Sequence[Run]], bool] = bool
) -> Iterator[list[Run]]:
    """Measure each subject for about `seconds`; yield the runs after every round, to show progress.

    Measuring continues for up to PATIENCE times as long, until enough blocks have an uncontended call and `conclusive`
    accepts the runs.
    """
    runs = [Run(subject) for subject in subjects]
    start, asked_s = time.perf_counter(), seconds * len(subjects)
    look_s = asked_s
    while True:
        for run in runs:
            run.block(clock)
        yield runs
        elapsed_s = time.perf_counter() - start
        if elapsed_s >= look_s:
            look_s += asked_s / 4
            enough = all(run.uncontended_blocks >= ENOUGH_BLOCKS for run in runs) and conclusive(runs)
            if enough or elapsed_s >= PATIENCE * asked_s:
                return


def other_stages(subject: Subject) -> dict[str, float | None]:
    """Stages outside `recognize()`: decoding a 720p JPEG as a USB camera sends it, and the copy into the engine."""
    jpeg = encode_jpeg(make_picture(), quality=90)
    source, target = subject.inputs[0], np.empty_like(subject.inputs[0])
    clock = Clock()
    timed = {
        "decode": [clock(lambda: decode_image(jpeg)) for _ in range(20)],
        "copy": [clock(lambda: np.copyto(target, source)) for _ in range(200)],
    }
    clock.close()
    return {name: _median([each.ms for each in samples if each.uncontended]) for name, samples in timed.items()}


def cpu_ms_per_frame(subject: Subject) -> float:
    """CPU time of the whole process, engine threads included, for one `recognize()`."""
    return cpu_ms(lambda i: subject.recognizer.recognize(subject.frames[i % len(subject.frames)]), 60)


def cpu_ms(call: Callable[[int], object], n: int) -> float:
    """CPU time of the whole process for one of n calls; each call gets its number."""
    start = time.process_time()
    for i in range(n):
        call(i)
    return round((time.process_time() - start) / n * 1e3, 3)


def _fastest(block: list[Sample]) -> float | None:
    """The fastest uncontended call of a block; None where every call waited for a CPU."""
    return min((round(sample.ms, 4) for sample in block if sample.uncontended), default=None)


def _median(values: Sequence[float]) -> float | None:
    return round(float(np.median(values)), 4) if len(values) else None

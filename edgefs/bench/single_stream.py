"""MLPerf's single-stream: one frame after the other, as a live camera gives them, on every subject in turn.

The bare engine and `recognize()` are called alternately, and the subjects take turns in short blocks, so that a busy
moment hits all alike: a ratio within one run means something even where a single figure does not. At the end of every
block the engine's library is called without us, for `--compare`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from edgefs.bench.clock import Clock, Sample
from edgefs.bench.percentiles import figures
from edgefs.bench.subjects import Subject, make_picture
from runtime.opencv import decode_image, encode_jpeg

PAIRS = 8  # calls of each kind in a block
CALM_BLOCKS = 40  # with an undisturbed call of each kind: what `--compare` needs to see a change of a few percent
PATIENCE = 4
STAGES = {"resize": "preprocess", "infer": "embed", "match": "match"}


class Run:
    """The samples of one subject, by kind of call ("engine", "recognize", "library" where there is one) and block."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        kinds = ("engine", "recognize", *(("library",) if subject.library else ()))
        self.samples: dict[str, list[list[Sample]]] = {kind: [] for kind in kinds}
        self._stages: dict[str, list[float]] = {stage: [] for stage in STAGES}
        self._calls = 0
        self.calm_blocks = 0

    def block(self, clock: Clock) -> None:
        """PAIRS calls of each kind, after one of each to warm up from the block of another."""
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
            if now["recognize"][-1].undisturbed:
                for stage, name in STAGES.items():
                    self._stages[stage].append(answers[0].timings_ms[name])
        if library:  # apart: its weights are a second copy, which would put the engine's out of the caches
            library(0)
            clock.refresh()
            now["library"] = [clock(lambda i=i: library(i)) for i in range(PAIRS)]  # type: ignore[misc]
        for kind, samples in now.items():
            self.samples[kind].append(samples)
        self.calm_blocks += all(any(sample.undisturbed for sample in samples) for samples in now.values())

    def report(self) -> dict[str, Any]:
        """The figures of this subject; `blocks` is what `--compare` works on."""
        engine, recognize = (figures(_all(self.samples[kind])) for kind in ("engine", "recognize"))
        return {
            "engine_p50_ms": engine["p50_ms"],
            "recognize_p50_ms": recognize["p50_ms"],
            "recognize_over_engine": _ratio(recognize["p50_ms"], engine["p50_ms"]),
            **{name: value for name, value in recognize.items() if name != "p50_ms"},
            "undisturbed_engine_p50_ms": engine["undisturbed_p50_ms"],
            "undisturbed_recognize_over_engine": _ratio(recognize["undisturbed_p50_ms"], engine["undisturbed_p50_ms"]),
            "engine_call": engine,
            "stages_ms": {stage: _median(values) for stage, values in self._stages.items()},
            "blocks": {f"{kind}_ms": _minima(blocks) for kind, blocks in self.samples.items()},
            "samples_ms": {kind: _undisturbed(self.samples[kind])[:2000] for kind in ("engine", "recognize")},
        }


def single_stream(
    subjects: Sequence[Subject], seconds: float, clock: Clock, told: Callable[[Sequence[Run]], bool] = bool
) -> Iterator[list[Run]]:
    """Measure each subject for about so many seconds; yields the runs after every round, to show progress.

    Up to PATIENCE times as long, until enough blocks have an undisturbed call and `told` is content with the runs.
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
            enough = all(run.calm_blocks >= CALM_BLOCKS for run in runs) and told(runs)
            if enough or elapsed_s >= PATIENCE * asked_s:
                return


def other_stages(subject: Subject) -> dict[str, float | None]:
    """What is no part of `recognize()`: decoding a 720p JPEG, as of a USB camera, and the copy into the engine."""
    jpeg = encode_jpeg(make_picture(), quality=90)
    source, target = subject.inputs[0], np.empty_like(subject.inputs[0])
    return {"decode": _timed(lambda: decode_image(jpeg), 20), "copy": _timed(lambda: np.copyto(target, source), 200)}


def cpu_ms_per_frame(subject: Subject) -> float:
    """CPU time of the whole process for one `recognize()`, its engine's threads included."""
    return cpu_ms(lambda i: subject.recognizer.recognize(subject.frames[i % len(subject.frames)]), 60)


def cpu_ms(call: Callable[[int], object], n: int) -> float:
    """CPU time of the whole process for one of n calls, each of which gets its number."""
    start = time.process_time()
    for i in range(n):
        call(i)
    return round((time.process_time() - start) / n * 1e3, 3)


def _timed(call: Any, n: int) -> float | None:
    clock = Clock()
    samples = [clock(call) for _ in range(n)]
    clock.close()
    return _median([sample.ms for sample in samples if sample.undisturbed])


def _all(blocks: list[list[Sample]]) -> list[Sample]:
    return [sample for block in blocks for sample in block]


def _undisturbed(blocks: list[list[Sample]]) -> list[float]:
    return [round(sample.ms, 3) for sample in _all(blocks) if sample.undisturbed]


def _minima(blocks: list[list[Sample]]) -> list[float | None]:
    """The fastest undisturbed call of each block; None where every one waited for a CPU."""
    return [min((round(sample.ms, 4) for sample in block if sample.undisturbed), default=None) for block in blocks]


def _median(values: Sequence[float]) -> float | None:
    return round(float(np.median(values)), 4) if len(values) else None


def _ratio(above: float | None, below: float | None) -> float | None:
    return round(above / below, 3) if above and below else None

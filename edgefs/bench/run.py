"""One benchmark run: everything that was asked for, measured in one process, as one report (schema.json).

The parts that need the machine for themselves come one after the other; what is compared is interleaved within them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from edgefs.bench import machine
from edgefs.bench.cameras import camera_scenario
from edgefs.bench.clock import Clock
from edgefs.bench.compare import NOISY, OVER, check_comparable, compare
from edgefs.bench.energy import EnergyCounter, open_counters
from edgefs.bench.growth import growth
from edgefs.bench.opening import openings
from edgefs.bench.single_stream import Run, cpu_ms_per_frame, other_stages, single_stream
from edgefs.bench.subjects import Subject, open_subjects
from edgefs.bench.throughput import multi_stream, offline
from edgefs.demo.progress import Progress, show
from runtime.bundle import Bundle

SCHEMA = "edgefs-bench-1"
SCENARIOS = ("single-stream", "multi-stream", "offline", "camera")


@dataclass(frozen=True)
class Plan:
    """What to measure.  seconds: of each part, for each engine and precision.  threads: of one call; None: the default.

    batches: of offline.  cameras, fps: of the camera scenario.  with_growth: also what a growing gallery costs.
    with_opening: also how long it takes to open, in processes of their own.
    """

    engines: Sequence[str] = ("all",)
    precisions: Sequence[str] = ("all",)
    scenarios: Sequence[str] = ("single-stream",)
    batches: Sequence[int] = (1, 8)
    threads: int | None = None
    seconds: float = 10.0
    cameras: int = 4
    fps: float = 15.0
    with_opening: bool = True
    with_growth: bool = False


def bench(
    bundle: Bundle, plan: Plan, progress: Progress = show, old: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Measure a bundle on this machine. Raises BenchError, BundleError or OptionError.

    old: an earlier report, to say what changed; single-stream then goes on until that can be told, within its patience.
    """
    here: dict[str, Any] = {"machine": machine.facts(), "threads": plan.threads}
    if old is not None:
        check_comparable(old, here["machine"]["machine"], plan.threads)  # now, not after minutes
    before = machine.condition()
    with open_subjects(bundle, plan.engines, plan.precisions, plan.threads) as (subjects, skipped):
        results = [_introduce(subject) for subject in subjects]
        told = partial(_told, old, here) if old is not None else bool
        for row, found in zip(results, _single_stream(subjects, plan.seconds, progress, told), strict=True):
            row.update(found)
        for scenario, measure in _scenarios(bundle, plan):
            if scenario in plan.scenarios:
                rows = list(zip(results, subjects, strict=True))
                for row, subject in progress(rows, scenario, len(rows)):
                    row[scenario.replace("-", "_")] = measure(subject)
        after = machine.condition()
    if plan.with_opening:
        for row in progress(results, "opening in new processes", len(results)):
            row["opening"] = openings(bundle, row["engine"], row["precision"], row["threads"])
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "bundle": {"name": bundle.name, "fingerprint": bundle.fingerprint, "input": list(bundle.preprocess.shape)},
        "frame": "1280x720 BGR",
        "seconds": plan.seconds,
        **here,
        "before": before,
        "after": after,
        "warnings": machine.warnings(before, after, _disturbed(results)),
        "results": results,
        "skipped": [asdict(each) for each in skipped],
        "accuracy": _accuracy(bundle),
    }
    if plan.with_growth:
        report["growth"] = list(progress(growth(bundle), "growing galleries", 5))
    if old is not None:
        report["changes"] = [asdict(change) for change in compare(old, report)]
    return report


def _told(old: Mapping[str, Any], here: Mapping[str, Any], runs: Sequence[Run]) -> bool:
    """Whether the quotients within the runs say what changed. (More samples do not help the plain times so much.)"""
    results = [{**_introduce(run.subject), **run.report()} for run in runs]
    changes = compare(old, {**here, "results": results})
    return not any(OVER in change.metric and change.verdict == NOISY for change in changes)


def _introduce(subject: Subject) -> dict[str, Any]:
    info = subject.info
    return {
        "engine": subject.engine,
        "version": info.version,
        "precision": subject.precision,
        "artifact": info.artifact,
        "arithmetic": info.arithmetic,
        "threads": info.threads,
        "golden_cosine": round(info.golden_cosine, 6),
    }


def _single_stream(
    subjects: Sequence[Subject], seconds: float, progress: Progress, told: Callable[[Sequence[Run]], bool]
) -> Iterator[dict[str, Any]]:
    clock = Clock()
    runs: list[Run] = []
    for runs in progress(single_stream(subjects, seconds, clock, told), "single-stream", None):  # noqa: B007 - the last counts
        pass
    clock.close()
    for run in runs:
        found = run.report()
        found["stages_ms"] = {**other_stages(run.subject), **found["stages_ms"]}
        yield {**found, "cpu_ms_per_frame": cpu_ms_per_frame(run.subject)}


def _scenarios(bundle: Bundle, plan: Plan) -> Iterator[tuple[str, Any]]:
    def many(subject: Subject) -> dict[str, Any]:
        clock = Clock()
        found = multi_stream(subject, plan.seconds, clock)
        clock.close()
        return found

    def throughput(subject: Subject) -> list[dict[str, Any]]:
        counters: list[EnergyCounter] = open_counters()
        rows = offline(bundle, subject, plan.batches, max(0.5, plan.seconds / 5), counters)
        for counter in counters:
            counter.close()
        return rows

    yield "multi-stream", many
    yield "offline", throughput
    yield "camera", lambda subject: camera_scenario(subject, plan.cameras, plan.fps, plan.seconds)


def _disturbed(results: Sequence[dict[str, Any]]) -> float:
    calm, every = (sum(row[name] for row in results) for name in ("undisturbed_samples", "samples"))
    return 1 - calm / every if every else 0.0


def _accuracy(bundle: Bundle) -> list[dict[str, Any]]:
    """Few-shot accuracy of each artefact, as measured when the bundle was exported; empty where it was not."""
    rows = []
    for artifact in bundle.manifest["provenance"].get("artifacts", []):
        for pair in artifact.get("accuracy") or []:
            found = {name: pair.get(name) for name in ("n_way", "n_shot", "accuracy", "interval")}
            rows.append({"target": artifact["target"], "precision": artifact["precision"], **found})
    return rows

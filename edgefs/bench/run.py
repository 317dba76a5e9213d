"""One benchmark run: every requested part, measured in one process, as one report (schema.json)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edgefs.bench import machine
from edgefs.bench.cameras import camera_scenario
from edgefs.bench.clock import Clock
from edgefs.bench.compare import NOISY, OVER, check_comparable, compare
from edgefs.bench.growth import growth
from edgefs.bench.opening import openings
from edgefs.bench.single_stream import Run, cpu_ms_per_frame, other_stages, single_stream
from edgefs.bench.subjects import Subject, open_subjects
from edgefs.bench.throughput import multi_stream, offline
from edgefs.reports.progress import Progress, show
from runtime.bundle import Bundle

SCHEMA = "edgefs-bench-2"


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        engines: Names, or "all" that are installed.
        precisions: Names, or "all" of the bundle.
        scenarios: Of "single-stream", which is always measured, "multi-stream", "offline" and "camera".
        batches: Batch sizes of the offline scenario.
        threads: CPU threads of one call; None: the default of `Recognizer`.
        device: The device of OpenVINO, which alone is measured then; None: the CPU, and every engine.
        seconds: Duration of each part, for each engine and precision.
        cameras: Number of cameras of the camera scenario.
        fps: Frames a second of each camera.
        with_opening: Also measure how long opening takes, in new processes.
        with_growth: Also measure what a growing gallery costs.
    """

    engines: Sequence[str] = ("all",)
    precisions: Sequence[str] = ("all",)
    scenarios: Sequence[str] = ("single-stream",)
    batches: Sequence[int] = (1, 8)
    threads: int | None = None
    device: str | None = None
    seconds: float = 10.0
    cameras: int = 4
    fps: float = 15.0
    with_opening: bool = True
    with_growth: bool = False


def bench(
    bundle: Bundle, plan: Plan, progress: Progress = show, old: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Measure a bundle on this machine.

    Args:
        bundle: The bundle to measure.
        plan: What to measure.
        progress: Shows progress.
        old: An earlier report to compare with. Single-stream then continues until the comparison is conclusive, for at
            most four times `plan.seconds`.

    Raises:
        BenchError: Nothing can be measured, or `old` cannot be compared.
    """
    here: dict[str, Any] = {"machine": machine.facts(), "threads": plan.threads, "device": plan.device}
    if old is not None:
        check_comparable(old, here["machine"]["machine"], plan.threads, plan.device)  # before anything is measured
    measures: dict[str, Callable[[Subject], Any]] = {
        "multi-stream": lambda subject: multi_stream(subject, plan.seconds),
        "offline": lambda subject: offline(bundle, subject, plan.batches, max(0.5, plan.seconds / 5), plan.device),
        "camera": lambda subject: camera_scenario(subject, plan.cameras, plan.fps, plan.seconds),
    }

    def conclusive(runs: Sequence[Run]) -> bool:  # more samples help the quotients more than the plain times
        if old is None:
            return True
        results = [{**_description(run.subject), **run.report()} for run in runs]
        changes = compare(old, {**here, "results": results})
        return not any(OVER in change.metric and change.result == NOISY for change in changes)

    before = machine.condition()
    with open_subjects(bundle, plan.engines, plan.precisions, plan.threads, plan.device) as (subjects, skipped):
        clock = Clock()
        runs: list[Run] = []
        for runs in progress(single_stream(subjects, plan.seconds, clock, conclusive), "single-stream", None):  # noqa: B007
            pass  # the last one counts
        clock.close()
        results = [_result(run) for run in runs]
        for scenario in (name for name in measures if name in plan.scenarios):
            rows = list(zip(results, subjects, strict=True))
            for row, subject in progress(rows, scenario, len(rows)):
                row[scenario.replace("-", "_")] = measures[scenario](subject)
        after = machine.condition()
    if plan.with_opening:
        for row in progress(results, "opening in new processes", len(results)):
            row["opening"] = openings(bundle, row["engine"], row["precision"], row["threads"], plan.device)
    uncontended, samples = (sum(row[name] for row in results) for name in ("uncontended_samples", "samples"))
    report: dict[str, Any] = {
        "schema": SCHEMA,
        "bundle": {"name": bundle.name, "fingerprint": bundle.fingerprint, "input": list(bundle.preprocess.shape)},
        "frame": "1280x720 BGR",
        "seconds": plan.seconds,
        **here,
        "before": before,
        "after": after,
        "warnings": machine.warnings(before, after, 1 - uncontended / max(1, samples)),
        "results": results,
        "skipped": [asdict(each) for each in skipped],
        "accuracy": _accuracy(bundle),
    }
    if plan.with_growth:
        report["growth"] = list(progress(growth(bundle), "growing galleries", 5))
    if old is not None:
        report["changes"] = [asdict(change) for change in compare(old, report)]
    return report


def _description(subject: Subject) -> dict[str, Any]:
    info = subject.info
    return {
        "engine": subject.engine,
        "version": info.version,
        "precision": subject.precision,
        "artifact": info.artifact,
        "arithmetic": info.arithmetic,
        "threads": info.threads,
        "device": info.device,
        "golden_cosine": round(info.golden_cosine, 6),
    }


def _result(run: Run) -> dict[str, Any]:
    found = run.report()
    stages = {**other_stages(run.subject), **found["stages_ms"]}
    cpu_ms = cpu_ms_per_frame(run.subject)
    return {**_description(run.subject), **found, "stages_ms": stages, "cpu_ms_per_frame": cpu_ms}


def _accuracy(bundle: Bundle) -> list[dict[str, Any]]:
    """Few-shot accuracy of each artifact, as measured at export; empty where it was not measured."""
    return [
        {"target": artifact["target"], "precision": artifact["precision"]}
        | {name: pair.get(name) for name in ("n_way", "n_shot", "accuracy", "interval")}
        for artifact in bundle.manifest["provenance"].get("artifacts", [])
        for pair in artifact.get("accuracy") or []
    ]

"""Decide again which reduced precisions of a bundle are faster than fp32, on the device that will run them.

An export decides on the machine that exports. Torch and ONNX are not needed here.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial

from exporters.verify.latency import Speed, interleaved
from runtime.bundle import Artifact, Bundle
from runtime.engines import ENGINES, engine_spec, open_engine
from runtime.errors import EngineError


@dataclass(frozen=True)
class Decided:
    """The result for one artifact.

    Attributes:
        target: Its target.
        precision: Its precision.
        latency_ms: Median time of one frame; None if it could not be run here.
        speed: How many times as fast it is as fp32 in the same engine, with an interval; None likewise.
        result: "faster", "slower", "too close to tell", or the reason why it could not be run here.
    """

    target: str
    precision: str
    latency_ms: float | None
    speed: Speed | None
    result: str


def decide(bundle: Bundle, *, threads: int | None = None, progress: Callable[[str], object] = str) -> list[Decided]:
    """Time every reduced precision of a bundle and fp32 of the same engine in turn.

    Args:
        bundle: The bundle.
        threads: CPU threads of one call; None means as `runtime.engines.open_engine` chooses.
        progress: Called with the name of each artifact as it begins.
    """
    decided = []
    for artifact in bundle.artifacts:
        if artifact.precision != "fp32":
            progress(f"{artifact.target} {artifact.precision}")
            decided.append(_decide(bundle, artifact, threads))
    return decided


def _decide(bundle: Bundle, artifact: Artifact, threads: int | None) -> Decided:
    name = next(name for name in ENGINES if engine_spec(name).targets[0] == artifact.target)
    frame, calls = bundle.golden()[0][:1], []
    try:
        with ExitStack() as opened:
            for precision in ("fp32", artifact.precision):
                engine = opened.enter_context(closing(open_engine(bundle, name, precision=precision, threads=threads)))
                calls.append(partial(engine.embed, frame))
            fp32, own = interleaved(calls)
    except EngineError as error:
        return Decided(artifact.target, artifact.precision, None, None, f"not run: {error}")
    speed = own.speed_of(fp32)
    return Decided(artifact.target, artifact.precision, own.p50_ms, speed, speed.result)

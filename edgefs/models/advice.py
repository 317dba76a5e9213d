"""Which model of the ladder a computer can run at a given frame rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edgefs.models.cards import measured
from edgefs.models.ladder import NAMES, SMALL

FRAME_RATES = (15, 30)  # frames per second
SHARE = 0.8  # of the time between two frames that the engine may take: capture and decoding need the rest


@dataclass(frozen=True)
class Advice:
    """The largest model for one frame rate.

    Attributes:
        fps: Frames per second.
        model: The name of the largest model that keeps up; None if none does.
        ms: The time that its engine takes for one frame, in milliseconds.
        estimated: Whether the time follows from that of `small`, because the model is not built on this computer.
    """

    fps: int
    model: str | None
    ms: float | None
    estimated: bool

    @property
    def sentence(self) -> str:
        """The advice for people."""
        if self.model is None:
            return f"{self.fps} frames a second: no model of the ladder keeps up on this computer"
        build = f"; estimated, to build it: edgefs models pull {self.model}" if self.estimated else ""
        return f"{self.fps} frames a second: up to --model {self.model} ({self.ms:.1f} ms a frame{build})"


def advise(engine_ms: Mapping[str, float]) -> list[Advice]:
    """Choose the largest model for each of FRAME_RATES.

    Args:
        engine_ms: Median milliseconds of one frame, for each model that was measured here; `small` must be among them.
            The time of the others is estimated from the stored ratio to `small`.
    """
    times = {name: (engine_ms.get(name, engine_ms[SMALL] * _ratio(name)), name not in engine_ms) for name in NAMES}
    chosen = []
    for fps in FRAME_RATES:
        fits = [name for name in NAMES if times[name][0] <= SHARE * 1000 / fps]
        name = fits[-1] if fits else None
        chosen.append(Advice(fps, name, *(times[name] if name else (None, False))))
    return chosen


def _ratio(name: str) -> float:
    """How many times longer one frame takes than with `small`, as stored."""
    models = measured()["models"]
    return float(models[name]["engine_ms"] / models[SMALL]["engine_ms"])

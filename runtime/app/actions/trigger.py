"""Decides when a rule fires: once for each time that its condition has held for its dwell time on a camera.

Nothing here has a clock or a socket; times are arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from runtime.app.actions.rules import Rule

GAP_S = 2.0  # a shorter interruption is not the end of what is seen


@dataclass(frozen=True)
class Seen:
    """What a camera shows, by the smoothed answer.

    Attributes:
        camera: The id of the camera.
        camera_name: Its name.
        label: The class that is named or suggested; None for unknown.
        certainty: "sure", "maybe" or "unknown".
        score: The score of the newest frame; None if there is none.
    """

    camera: str
    camera_name: str
    label: str | None
    certainty: str
    score: float | None = None


@dataclass(frozen=True)
class Firing:
    """A rule that fires now, on what, and for how many seconds its condition has held."""

    rule: Rule
    seen: Seen
    dwell_s: float


@dataclass
class _Held:
    since_s: float
    last_s: float
    fired: bool = False


class Trigger:
    """The state of all rules on all cameras. `rules` may be replaced at any time. Not safe from several threads."""

    def __init__(self, rules: Sequence[Rule] = ()) -> None:
        self.rules = tuple(rules)
        self._held: dict[tuple[str, str, str | None], _Held] = {}

    def update(self, seen: Seen, now_s: float) -> list[Firing]:
        """Return the rules that fire because of an answer that came at `now_s`."""
        self._held = {key: held for key, held in self._held.items() if now_s - held.last_s <= GAP_S}
        firings = []
        for rule in self.rules:
            if not fits(rule, seen):
                continue
            held = self._held.setdefault((rule.name, seen.camera, seen.label), _Held(now_s, now_s))
            held.last_s = now_s
            if not held.fired and now_s - held.since_s >= rule.dwell_s:
                held.fired = True
                firings.append(Firing(rule, seen, now_s - held.since_s))
        return firings


def fits(rule: Rule, seen: Seen) -> bool:
    """Return whether an answer fulfils the condition of a rule, apart from the dwell time."""
    if rule.camera not in (None, seen.camera, seen.camera_name):
        return False
    if rule.certainty == "unknown":
        return seen.certainty == "unknown"
    enough = ("sure",) if rule.certainty == "sure" else ("sure", "maybe")
    return seen.certainty in enough and rule.label in (None, seen.label)

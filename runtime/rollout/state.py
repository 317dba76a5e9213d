"""What a device remembers of rollouts, in `state.json` of a folder beside its gallery, with the bundles it fetched."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from runtime.durable import write_file
from runtime.rollout.index import Release


@dataclass
class State:
    """The memory of a device.

    Attributes:
        serial: The highest index that was read; older ones are refused.
        current: What runs; None for the bundle that the app was started with.
        before: What ran before.
        watched: Whether `current` is new and may be taken back.
        unknown_before: The share of unknown answers before the switch; None if it is not known.
        starts: How often the app was started while `current` was watched.
        attempts: How often the switch to a bundle was begun, by the bundle's sha256.
        refused: Why a bundle is not run on this device, by the bundle's sha256.
        said: What happened last, in words.
    """

    serial: int = 0
    current: Release | None = None
    before: Release | None = None
    watched: bool = False
    unknown_before: float | None = None
    starts: int = 0
    attempts: dict[str, int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    said: str = ""

    def save(self, folder: Path) -> None:
        """Write it durably. Raises OSError."""
        write_file(folder / "state.json", json.dumps(asdict(self), indent=1).encode())


def load_state(folder: Path) -> State:
    """Return what was saved; a new one if there is none, or if it cannot be read."""
    try:
        facts = json.loads((folder / "state.json").read_bytes())
        for name in ("current", "before"):
            facts[name] = facts[name] and Release(**facts[name])
        return State(**facts)
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return State()

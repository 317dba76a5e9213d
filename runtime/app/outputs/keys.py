"""The keys of the window as a state machine, no window in it. OpenCV sees no key released: space begins and ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ENTER, ESCAPE, BACKSPACE, SPACE = (13, 10), 27, (8, 127), ord(" ")
HELP = "space: teach   n: not this   u: undo   tab: next camera   q: quit"
What = Literal["teach", "pause", "store", "cancel", "reject", "undo", "next", "quit"]


@dataclass(frozen=True)
class Action:
    """What a key asks for. label: for "store"."""

    what: What
    label: str = ""


class Keys:
    """idle -> (space) teaching -> (space) naming -> (enter) stored; escape gives up."""

    def __init__(self) -> None:
        self.mode: Literal["idle", "teaching", "naming"] = "idle"
        self.typed = ""

    def press(self, key: int) -> Action | None:
        """Take one key as `cv2.waitKey` gives it, -1 for none."""
        if key < 0:
            return None
        key &= 0xFF
        if key == ESCAPE:
            before, self.mode, self.typed = self.mode, "idle", ""
            return Action("quit") if before == "idle" else Action("cancel")
        if self.mode == "naming":
            return self._name(key)
        if self.mode == "teaching":
            if key == SPACE or key in ENTER:
                self.mode = "naming"
                return Action("pause")
            return None
        if key == SPACE:
            self.mode = "teaching"
            return Action("teach")
        actions: dict[int, What] = {ord("n"): "reject", ord("u"): "undo", 9: "next", ord("q"): "quit"}
        return Action(actions[key]) if key in actions else None

    def line(self) -> str:
        """What to show below the picture."""
        if self.mode == "teaching":
            return "teaching: turn it slowly; space when done, escape to give up"
        return f"name: {self.typed}_   (enter to store)" if self.mode == "naming" else HELP

    def _name(self, key: int) -> Action | None:
        if key in ENTER and self.typed.strip():
            label, self.mode, self.typed = self.typed.strip(), "idle", ""
            return Action("store", label)
        if key in BACKSPACE:
            self.typed = self.typed[:-1]
        elif 32 <= key < 127 and len(self.typed) < 60:
            self.typed += chr(key)
        return None

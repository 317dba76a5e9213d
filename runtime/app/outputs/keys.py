"""The keys of the window as a state machine. OpenCV does not report a released key, so space begins and ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ENTER, ESCAPE, BACKSPACE, SPACE = (13, 10), 27, (8, 127), ord(" ")
HELP = "space: teach   y: yes, it is   n: not this   u: undo   r: redo   tab: next camera   q: quit"
What = Literal["teach", "pause", "store", "cancel", "confirm", "reject", "undo", "redo", "next", "quit"]
IDLE_KEYS: dict[int, What] = {
    SPACE: "teach",
    ord("y"): "confirm",
    ord("n"): "reject",
    ord("u"): "undo",
    ord("r"): "redo",
    9: "next",
    ord("q"): "quit",
}


@dataclass(frozen=True)
class Action:
    """What a key asks for. `label` is the typed name, for "store"."""

    what: What
    label: str = ""


class Keys:
    """The modes: space leads from "idle" to "teaching" and to "naming"; enter stores; escape leads back to "idle"."""

    def __init__(self) -> None:
        self.mode: Literal["idle", "teaching", "naming"] = "idle"
        self.typed = ""

    def press(self, key: int) -> Action | None:
        """Take one key as `cv2.waitKey` returns it (-1 for none), and return the action that it asks for, if any."""
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
        return Action(IDLE_KEYS[key]) if key in IDLE_KEYS else None

    def line(self) -> str:
        """Return the line of help for the present mode."""
        if self.mode == "teaching":
            return "teaching: turn it slowly; space when done, escape to discard"
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

"""A coach advises the person who teaches, frame by frame. It stores nothing until `enroll` is called.

coach = Coach(rec, "mug")
for frame in camera:
    print(coach.look(frame).line)       # "same view again: turn the object or move the camera"
coach.enroll()                          # stores what was accepted
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from runtime.errors import OptionError
from runtime.gallery import clean_label
from runtime.opencv import decode_image
from runtime.recognition import Enrollment
from runtime.teaching.enrolling import WHAT_TO_DO, Observation, fault
from runtime.teaching.quality import MIN_RELATIVE_SHARPNESS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from runtime.recognizer import Recognizer

GOOD_VIEWS = 5


@dataclass(frozen=True)
class Advice:
    """Advice on one frame.

    Attributes:
        accepted: Whether the frame was kept.
        reason: Why it was not kept: "too dark", "too bright", "blurred" or "same view"; None if it was.
        line: One sentence for people.
    """

    accepted: bool
    reason: str | None
    line: str


class Coach:
    """Collects one burst of one class.

    Args:
        recognizer: The recognizer that will be taught.
        label: The class; None if it has no name yet.
    """

    def __init__(self, recognizer: Recognizer, label: str | None = None) -> None:
        self._recognizer = recognizer
        self.label = None if label is None else clean_label(label)
        self.kept: list[Observation] = []
        self.refused = 0
        self._sharpest = 0.0

    def look(self, frame: NDArray[np.uint8]) -> Advice:
        """Look at one frame, `uint8 [H, W, 3]` BGR or grey, and keep it if it is useful. Raises FrameError."""
        (seen,) = self._recognizer.observe([frame])
        sharpness = seen.quality.sharpness
        self._sharpest = max(self._sharpest, sharpness)
        reason = fault(seen, self._known(), blurred=sharpness < MIN_RELATIVE_SHARPNESS * self._sharpest)
        if reason is not None:
            self.refused += 1
            return Advice(False, reason, f"{reason}: {WHAT_TO_DO[reason]}")
        self.kept.append(seen)
        return Advice(True, None, self._line(seen))

    def cut(self, part: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> None:
        """Keep only the part `uint8 [h, w, 3]` of every kept frame that `part` returns. Raises OptionError."""
        crops = [seen.crop for seen in self.kept if seen.crop is not None]
        if len(crops) < len(self.kept):
            raise OptionError("The gallery must keep crops, so that they can be cut, but it does not. Teach again.")
        frames = [part(decode_image(crop, "a kept frame")) for crop in crops]
        self.kept = list(self._recognizer.observe(frames)) if frames else []

    def enroll(self, label: str | None = None, *, source: str = "camera") -> Enrollment:
        """Store the frames that were kept as one burst, and start again with none.

        Args:
            label: The class; None uses the label given before.
            source: Where the frames come from, for the records of the gallery.

        Raises:
            InvalidLabel: There is no label, or it is not allowed.
            GalleryUnwritable: The system refused.
        """
        enrollment = self._recognizer.enroll_observed(label or self.label or "", self.kept, source=source)
        self.kept = []
        return enrollment

    def _known(self) -> NDArray[np.float32]:
        known = self._recognizer.gallery.classes.get(self.label or "")
        rows = [*(known.embeddings if known else ()), *(seen.embedding for seen in self.kept)]
        return np.array(rows, np.float32).reshape(-1, self._recognizer.bundle.dim)

    def _line(self, seen: Observation) -> str:
        answer = self._recognizer.match(seen.embedding)
        if answer.label not in (None, self.label):
            return f"looks like {answer.label} ({answer.score:.2f}): show the side where they differ"
        missing = GOOD_VIEWS - len(self._known())
        return f"{missing} more view{'s' if missing > 1 else ''}" if missing > 0 else "good; more views never hurt"

"""`--window`: an OpenCV window with keys, for a machine without a browser."""

from __future__ import annotations

import os
import sys
import threading

import numpy as np
from numpy.typing import NDArray

from runtime.app.core.hub import Mailbox
from runtime.app.core.messages import Answer, Event, Teach
from runtime.app.core.service import Service
from runtime.app.core.session import InvalidState
from runtime.app.outputs.keys import Action, Keys
from runtime.errors import EdgefsError, OptionError
from runtime.opencv import load_cv2

TITLE = "edgefs live"
BAR = 96  # pixels below the picture
WIDTH, HEIGHT = 960, 600  # pixels: the width of the window, and the most that a picture is high
WHITE, GREY, BACKGROUND = (245, 245, 245), (150, 150, 150), (32, 32, 32)


class Window:
    """The window. It must be used in the main thread, as OpenCV requires. Raises OptionError if there can be none."""

    def __init__(self, service: Service) -> None:
        self._service, self._keys = service, Keys()
        self._camera = next(iter(service.workers))
        self._answers: dict[str, Answer] = {}
        self._message = ""
        self._cv2 = load_cv2()
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise OptionError(  # Qt would end the process
                "--window needs a display, but neither DISPLAY nor WAYLAND_DISPLAY is set. "
                "Start it from the desktop, or use the page instead."
            )
        try:
            self._cv2.namedWindow(TITLE)
        except self._cv2.error as error:
            raise OptionError(
                "--window needs an OpenCV with windows, but this one has none. "
                "Do: pip uninstall opencv-python-headless && pip install opencv-python; or use the page instead."
            ) from error

    def run(self, stop: threading.Event) -> None:
        """Show the camera and obey the keys until q, until the window is closed, or until `stop` is set."""
        mailbox = self._service.hub.subscribe(lambda: None)
        try:
            while not stop.is_set() and self._open():
                self._take(mailbox)
                self._cv2.imshow(TITLE, self._picture())
                action = self._keys.press(self._cv2.waitKey(30))
                if action is not None and action.what == "quit":
                    return
                if action is not None:
                    self._do(action)
        finally:
            self._service.hub.unsubscribe(mailbox)
            self._cv2.destroyAllWindows()

    def _open(self) -> bool:
        return float(self._cv2.getWindowProperty(TITLE, self._cv2.WND_PROP_VISIBLE)) >= 1

    def _take(self, mailbox: Mailbox[Event]) -> None:
        for message in mailbox.take():
            if isinstance(message, Answer):
                self._answers[message.camera] = message
            elif isinstance(message, Teach) and message.camera == self._camera and self._keys.mode == "teaching":
                self._message = f"{message.kept} kept: {message.line}"

    def _do(self, action: Action) -> None:
        service, camera = self._service, self._camera
        try:
            if action.what == "teach":
                service.start_teaching(camera, None)
            elif action.what == "pause":
                service.worker(camera).pause_teaching()
            elif action.what == "store":
                enrolled = service.stop_teaching(camera, action.label)
                self._message = f"{len(enrolled.accepted)} views of {enrolled.label} stored"
            elif action.what == "cancel":
                service.worker(camera).cancel_teaching()
                self._message = "discarded"
            elif action.what == "undo":
                self._message = f"undone: {service.undo()}"
            elif action.what == "redo":
                self._message = f"redone: {service.redo()}"
            elif action.what == "next":
                ids = list(service.workers)
                self._camera = ids[(ids.index(camera) + 1) % len(ids)]
            elif action.what == "reject":
                self._message = service.reject(self._answer_id())
            elif action.what == "confirm":
                enrolled = service.confirm(self._answer_id(), None)
                self._message = f"{len(enrolled.accepted)} views of {enrolled.label} stored"
        except EdgefsError as error:
            self._message = str(error)

    def _answer_id(self) -> int:
        answer = self._answers.get(self._camera)
        if answer is None or answer.id is None:
            raise InvalidState("There is no answer yet.")
        return answer.id

    def _picture(self) -> NDArray[np.uint8]:
        worker = self._service.workers[self._camera]
        answer = self._answers.get(self._camera)
        maybe = f"{answer.suggestion}?" if answer and answer.suggestion else "Unknown"
        name = (answer.stable or maybe) if answer else self._service.camera(self._camera).message
        score = f"{answer.score:.2f}" if answer and answer.score is not None else ""
        return draw(worker.preview.newest, f"{name}  {score}".strip(), self._keys.line(), self._message)


def draw(frame: NDArray[np.uint8] | None, name: str, line: str, message: str) -> NDArray[np.uint8]:
    """Draw a frame above a bar with three lines of text.

    Args:
        frame: `uint8 [H, W, 3]` BGR, or None for an empty picture. A frame higher than the window is shown smaller.
        name: The first line: what was recognised.
        line: The second line: help.
        message: The third line: what was done.

    Returns:
        `uint8 [h + BAR, WIDTH, 3]` BGR with h at most HEIGHT.
    """
    cv2 = load_cv2()
    if frame is None:
        frame = np.full((WIDTH * 9 // 16, WIDTH, 3), 20, np.uint8)
    scale = min(WIDTH / frame.shape[1], HEIGHT / frame.shape[0])
    height, width = (max(1, round(side * scale)) for side in frame.shape[:2])
    left = (WIDTH - width) // 2
    canvas = np.full((height + BAR, WIDTH, 3), BACKGROUND, np.uint8)
    canvas[:height, left : left + width] = cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA)
    for text, y, size, colour in ((name, 38, 1.1, WHITE), (line, 64, 0.5, GREY), (message, 86, 0.5, WHITE)):
        plain = text.encode("ascii", "replace").decode()  # OpenCV's font has no other characters
        cv2.putText(canvas, plain, (12, height + y), cv2.FONT_HERSHEY_SIMPLEX, size, colour, 1, cv2.LINE_AA)
    return canvas

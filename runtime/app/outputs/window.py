"""The OpenCV window: the same service with a window and keys around it, where there is no browser."""

from __future__ import annotations

import os
import sys
import threading

import numpy as np
from numpy.typing import NDArray

from runtime.app.core.hub import Mailbox
from runtime.app.core.messages import Answer, Event, Teach
from runtime.app.core.service import Service
from runtime.app.outputs.keys import Action, Keys
from runtime.errors import EdgefsError, OptionError
from runtime.opencv import load_cv2

TITLE = "edgefs live"
BAR = 96  # pixels below the picture
WIDTH = 960
WHITE, GREY, BACK = (245, 245, 245), (150, 150, 150), (32, 32, 32)


class Window:
    """Runs in the main thread, which OpenCV's windows need. Raises OptionError where there can be none."""

    def __init__(self, service: Service) -> None:
        self._service, self._keys = service, Keys()
        self._camera = next(iter(service.eyes))
        self._answers: dict[str, Answer] = {}
        self._said = ""
        self._cv2 = load_cv2()
        if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
            raise OptionError(  # Qt would end the process
                "--window needs a display, but neither DISPLAY nor WAYLAND_DISPLAY is set. "
                "Do: start it from the desktop; or use the page instead"
            )
        try:
            self._cv2.namedWindow(TITLE)
        except self._cv2.error as error:
            raise OptionError(
                "--window needs an OpenCV with windows, but this one has none. "
                "Do: pip uninstall opencv-python-headless && pip install opencv-python; or use the page instead"
            ) from error

    def run(self, stop: threading.Event) -> None:
        """Show and listen until q, until the window is closed, or until stop is set."""
        mailbox = self._service.hub.join(lambda: None)
        try:
            while not stop.is_set() and self._open():
                self._take(mailbox)
                self._cv2.imshow(TITLE, self._frame())
                action = self._keys.press(self._cv2.waitKey(30))
                if action is not None and action.what == "quit":
                    return
                if action is not None:
                    self._do(action)
        finally:
            self._service.hub.leave(mailbox)
            self._cv2.destroyAllWindows()

    def _open(self) -> bool:
        return float(self._cv2.getWindowProperty(TITLE, self._cv2.WND_PROP_VISIBLE)) >= 1

    def _take(self, mailbox: Mailbox[Event]) -> None:
        for message in mailbox.take():
            if isinstance(message, Answer):
                self._answers[message.camera] = message
            elif isinstance(message, Teach) and message.camera == self._camera and self._keys.mode == "teaching":
                self._said = f"{message.kept} kept: {message.line}"

    def _do(self, action: Action) -> None:
        service, camera = self._service, self._camera
        try:
            if action.what == "teach":
                service.start_lesson(camera, None)
            elif action.what == "pause":
                service.eye(camera).pause_lesson()
            elif action.what == "store":
                enrolled = service.end_lesson(camera, action.label)
                self._said = f"{len(enrolled.accepted)} views of {enrolled.label} stored"
            elif action.what == "cancel":
                service.eye(camera).cancel_lesson()
                self._said = "given up"
            elif action.what == "undo":
                self._said = f"undone: {service.editable.undo()}"
                service.changed()
            elif action.what == "next":
                ids = list(service.eyes)
                self._camera = ids[(ids.index(camera) + 1) % len(ids)]
            elif action.what == "reject":
                self._reject()
        except EdgefsError as error:
            self._said = str(error)

    def _reject(self) -> None:
        answer = self._answers.get(self._camera)
        if answer is None or answer.id is None or answer.label is None:
            self._said = "nothing was recognised"
            return
        self._said = self._service.reject(answer.id)

    def _frame(self) -> NDArray[np.uint8]:
        eye = self._service.eyes[self._camera]
        answer = self._answers.get(self._camera)
        name = (answer.stable or "Unknown") if answer else self._service.camera(self._camera).message
        score = f"{answer.score:.2f}" if answer and answer.score is not None else ""
        return drawn(eye.preview.newest, f"{name}  {score}".strip(), self._keys.line(), self._said)


def drawn(image: NDArray[np.uint8] | None, name: str, line: str, said: str) -> NDArray[np.uint8]:
    """The picture, `uint8 [H, W, 3]`, over a bar with three lines of text."""
    cv2 = load_cv2()
    if image is None:
        image = np.full((WIDTH * 9 // 16, WIDTH, 3), 20, np.uint8)
    height = max(1, round(image.shape[0] * WIDTH / image.shape[1]))
    canvas = np.full((height + BAR, WIDTH, 3), BACK, np.uint8)
    canvas[:height] = cv2.resize(image, (WIDTH, height), interpolation=cv2.INTER_AREA)
    for text, y, scale, colour in ((name, 38, 1.1, WHITE), (line, 64, 0.5, GREY), (said, 86, 0.5, WHITE)):
        plain = text.encode("ascii", "replace").decode()  # OpenCV's font has no more
        cv2.putText(canvas, plain, (12, height + y), cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 1, cv2.LINE_AA)
    return canvas

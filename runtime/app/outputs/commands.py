"""Commands over MQTT: teach, confirm and rate. Each is answered; none can end the app, and none deletes anything.

edgefs/DEVICE/command/NAME    a command as JSON; one that the broker has retained is from an earlier time, and ignored
edgefs/DEVICE/result/ID       the outcome as JSON; ID is the `id` of the command, or "unreadable"
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from runtime.app.core.camera_worker import CameraWorker
from runtime.app.core.cameras import UnknownCamera
from runtime.app.core.messages import Fraction, Label
from runtime.app.core.service import Service
from runtime.app.core.session import InvalidState
from runtime.errors import EdgefsError

LARGEST = 4096  # bytes of a command
WAITING = 16  # commands that wait for their turn
REMEMBERED = 100  # results that are sent again for a command that comes twice, as QoS 1 permits
UNREADABLE = "unreadable"

Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]  # no sign that means something in a topic

log = logging.getLogger(__name__)


class Command(Struct, frozen=True, forbid_unknown_fields=True):
    """What every command has: the last part of the topic of its result."""

    id: Id


class Teach(Command, frozen=True):
    """Teach what a camera shows for some seconds. `camera` is an id or a name; null for the only camera."""

    label: Label
    camera: str | None = None
    seconds: Annotated[float, Meta(ge=0.2, le=30)] = 2.0


class Confirm(Command, frozen=True):
    """Store the frame of an answer: `answer` is the `id` in the attributes; `label` null for its candidate."""

    answer: Annotated[int, Meta(ge=0)]
    label: Label | None = None


class Rate(Command, frozen=True):
    """Accept at most this share of strangers."""

    rate: Fraction


class Result(Struct, frozen=True, omit_defaults=True):
    """The outcome: what was done in words, or the type of an error and what to do about it."""

    ok: bool
    what: str
    error: str | None = None
    operation: int | None = None


KINDS: dict[str, type[Command]] = {"teach": Teach, "confirm": Confirm, "rate": Rate}


class BadCommand(EdgefsError, ValueError):
    """The command is not one, or its payload does not fit."""


class Commands:
    """Obeys one command after another in a thread of its own.

    Args:
        service: The service.
        publish: Publishes the payload of the result of an id. Called from several threads.
    """

    def __init__(self, service: Service, publish: Callable[[str, str], None]) -> None:
        self._service, self._send = service, publish
        self._queue: queue.Queue[Command] = queue.Queue(WAITING)
        self._results: dict[str, Result | None] = {}  # None while the command waits
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mqtt commands", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Discard what waits, end a teaching session without storing it, and stop."""
        self._stop.set()
        self._thread.join()

    def take(self, name: str, payload: bytes) -> None:
        """Take a command; its result is published when it is done, and at once if it cannot be obeyed."""
        try:
            command = read(name, payload)
        except BadCommand as error:
            self._publish(id_of(payload), failure(error))
            return
        if command.id in self._results:
            if (earlier := self._results[command.id]) is not None:
                self._publish(command.id, earlier)
            return
        self._results[command.id] = None
        try:
            self._queue.put_nowait(command)
        except queue.Full:
            del self._results[command.id]
            busy = InvalidState(f"At most {WAITING} commands may wait. Wait for their results, and send it again.")
            self._publish(command.id, failure(busy))

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                command = self._queue.get(timeout=0.2)
            except queue.Empty:
                continue
            result = self._obey(command)
            self._results[command.id] = result
            done = [id_ for id_, each in list(self._results.items()) if each is not None]
            for id_ in done[:-REMEMBERED]:
                del self._results[id_]
            self._publish(command.id, result)

    def _obey(self, command: Command) -> Result:
        try:
            if isinstance(command, Teach):
                return self._teach(command)
            if isinstance(command, Confirm):
                enrollment = self._service.confirm(command.answer, command.label)
                if not enrollment.accepted:
                    raise InvalidState(f"The frame must add something, but: {enrollment.rejected[0].reason}.")
                return self._done(f"confirmed {enrollment.label}")
            assert isinstance(command, Rate)
            return self._done(self._service.set_stranger_rate(command.rate))
        except EdgefsError as error:
            return failure(error)
        except Exception as error:
            log.exception("A command failed.")
            return failure(error)

    def _teach(self, command: Teach) -> Result:
        worker = self._camera(command.camera)
        id_ = worker.session.id
        camera = worker.camera()
        if camera.state != "live" or camera.teaching:
            found = "it is being taught already" if camera.teaching else camera.message or camera.state
            raise InvalidState(f"Camera {camera.name} must be live and free to be taught, but: {found}")
        self._service.start_teaching(id_, command.label)
        session = worker.session.teaching
        stopped = self._stop.wait(command.seconds)
        if worker.session.teaching is not session or session is None:
            raise InvalidState("The session must last until its end, but somebody else began another one or ended it.")
        if stopped or not session.kept:
            worker.cancel_teaching()
            why = "the app ends" if stopped else f"all {session.refused} frames were refused; show the thing longer"
            raise InvalidState(f"At least one view must be kept, but {why}.")
        enrollment = self._service.stop_teaching(id_, command.label)
        return self._done(f"stored {len(enrollment.accepted)} views of {enrollment.label}")

    def _camera(self, camera: str | None) -> CameraWorker:
        workers = self._service.workers
        if camera is None and len(workers) == 1:
            return next(iter(workers.values()))
        for id_, worker in workers.items():
            if camera in (id_, worker.session.name):
                return worker
        cameras = ", ".join(worker.session.name for worker in workers.values()) or "none"
        raise UnknownCamera(f"The camera must be one of {cameras}, but got {camera!r}.")

    def _done(self, what: str) -> Result:
        return Result(ok=True, what=what, operation=self._service.recognizer.gallery.last_operation)

    def _publish(self, id_: str, result: Result) -> None:
        self._send(id_, msgspec.json.encode(result).decode())


def read(name: str, payload: bytes) -> Command:
    """Return a command from the last part of its topic and its payload. Raises BadCommand."""
    if name not in KINDS:
        raise BadCommand(f"The command must be one of {', '.join(KINDS)}, but got {name!r}.")
    if len(payload) > LARGEST:
        raise BadCommand(f"A command must have at most {LARGEST} bytes, but it has {len(payload)}.")
    try:
        return msgspec.json.decode(payload, type=KINDS[name])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadCommand(f"The payload of {name} must be as docs/live.md says, but: {error}.") from error


def id_of(payload: bytes) -> str:
    """Return the id of a payload that may be broken otherwise, or UNREADABLE."""
    try:
        return msgspec.json.decode(payload[: LARGEST + 1], type=_OnlyId).id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return UNREADABLE


class _OnlyId(Struct):
    id: Id


def failure(error: Exception) -> Result:
    """Return an error as a result; an unexpected one has no details."""
    if isinstance(error, EdgefsError):
        return Result(ok=False, what=str(error), error=type(error).__name__)
    return Result(ok=False, what="The command failed; see the log of the device.", error="InternalError")


def handler(commands: Commands) -> Callable[[Any, Any, Any], None]:
    """Return what paho calls with every message of the topic."""

    def take(_client: Any, _data: Any, message: Any) -> None:
        if message.retain:
            log.warning("A command that the broker had kept was ignored: %s", message.topic)
        else:
            commands.take(message.topic.rpartition("/")[2], message.payload)

    return take

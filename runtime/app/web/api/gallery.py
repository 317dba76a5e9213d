"""The gallery as a whole: undo, redo, history, download, upload, and embedding it again."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from runtime.app.core.messages import Done, Imported, Operation, OperationId, State, UndoMinutes
from runtime.app.web.api.convert import changed, deleted
from runtime.app.web.routes import ARCHIVE, BadRequest, Call, Route
from runtime.errors import EdgefsError, GalleryUnwritable
from runtime.gallery import export_gallery, import_gallery
from runtime.opencv import decode_image

ZIP = ("application/zip", "application/octet-stream")


def undo(call: Call) -> Done:
    return Done(f"undone: {call.service.undo(call.body.id)}")


def redo(call: Call) -> Done:
    return Done(f"redone: {call.service.redo(call.body.id)}", call.body.id)


def history(call: Call) -> list[Operation]:
    return [Operation(o.id, o.time_s, o.what) for o in call.service.recognizer.gallery.history()]


def _temporary_folder(call: Call) -> tempfile.TemporaryDirectory[str]:
    """Return a folder beside the gallery, so that only one disk must have space. Raises GalleryUnwritable."""
    path = call.service.recognizer.gallery.path
    try:
        return tempfile.TemporaryDirectory(prefix=".edgefs-", dir=None if path is None else path.parent)
    except OSError as error:
        raise _no_space(error) from error


def _no_space(error: OSError) -> GalleryUnwritable:
    return GalleryUnwritable(
        f"The folder of the gallery must have space for a temporary file, but: {error.strerror or error}. "
        "Free some space and try again. Nothing was changed."
    )


def download(call: Call) -> Response:
    folder = _temporary_folder(call)
    path = Path(folder.name) / "gallery.zip"
    try:
        export_gallery(call.service.recognizer.gallery, path)
    except OSError as error:
        folder.cleanup()
        cause = error.__cause__ if isinstance(error, GalleryUnwritable) else error  # its text names our file
        raise (_no_space(cause) if isinstance(cause, OSError) else error) from error
    except BaseException:
        folder.cleanup()
        raise
    return _Temporary(folder, path)


class _Temporary(FileResponse):
    """A download whose folder is removed however it ends: complete, interrupted, or refused for its headers."""

    def __init__(self, folder: tempfile.TemporaryDirectory[str], path: Path) -> None:
        super().__init__(path, media_type="application/zip", filename="gallery.zip")
        self._folder = folder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._folder.cleanup()


async def upload(call: Call) -> Imported:
    """Add the shots of an archive. It is written to a temporary file as it comes."""
    kind = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ZIP:
        raise BadRequest(f"Content-Type must be {' or '.join(ZIP)}, but it is {kind!r}.", 415)
    recognizer = call.service.editable

    def embed(crops: list[bytes]) -> NDArray[np.float32]:  # for an archive of another model
        return recognizer.embed(decode_image(crop, "a crop of the archive") for crop in crops)

    with _temporary_folder(call) as folder:
        path = Path(folder) / "gallery.zip"
        try:
            with path.open("wb") as file:
                async for chunk in call.request.stream():
                    await call.in_thread(lambda chunk=chunk: file.write(chunk))  # type: ignore[misc]
        except OSError as error:
            raise _no_space(error) from error

        def add() -> Imported:
            try:
                summary = import_gallery(recognizer.gallery, path, embed=embed, trusted_keys=call.service.trusted_keys)
            except EdgefsError as error:  # the name of the temporary file means nothing to the sender
                raise type(error)(str(error).replace(str(path), "The uploaded file")) from error
            operation = recognizer.gallery.last_operation if summary.added else None
            return Imported(summary.added, summary.skipped_duplicates, summary.per_class, operation)

        imported = await call.in_thread(add)
    call.service.changed()
    return imported


def reembed(call: Call) -> Done:
    return Done(call.service.reembed())


def purge(call: Call) -> Done:
    return changed(call, deleted(call.service.editable))


def set_undo_minutes(call: Call) -> Done:
    minutes = call.body.minutes
    call.service.editable.gallery.set_undo_minutes(minutes)
    return changed(call, f"what is forgotten can be restored for {minutes} minutes")


def repair(call: Call) -> Done:
    report = call.service.editable.gallery.repair()
    kept = "" if report.kept is None else f"; the damaged file is kept as {report.kept.name}"
    return changed(call, f"repaired: {'; '.join(report.notes) or 'nothing was lost'}{kept}")


def state(call: Call) -> State:
    return call.service.state()


BASE = "/api/v1/gallery"
ROUTES = (
    Route("GET", "/api/v1/state", "Everything except the answers", state, gives=State),
    Route(
        *("POST", "/api/v1/undo", "Take back the newest change, which must be the one meant", undo),
        takes=OperationId,
        gives=Done,
        refuses=(409, 507),
    ),
    Route(
        *("POST", "/api/v1/redo", "Make the change again that was undone last", redo),
        takes=OperationId,
        gives=Done,
        refuses=(409, 507),
    ),
    Route("GET", "/api/v1/history", "The changes that can be undone, newest first", history, gives=list[Operation]),
    Route("GET", BASE, "The gallery as one file", download, gives="application/zip", refuses=(507,)),
    Route(
        *("POST", BASE, "Add the classes of such a file", upload),
        takes=ZIP,
        gives=Imported,
        limit=ARCHIVE,
        on_disk=True,
        refuses=(409, 507),
    ),
    Route(
        *("POST", f"{BASE}/purge", "Delete what was forgotten for good, at once", purge),
        gives=Done,
        refuses=(409, 507),
    ),
    Route(
        *("PUT", f"{BASE}/undo-minutes", "Set for how long a forgotten class can be restored", set_undo_minutes),
        takes=UndoMinutes,
        gives=Done,
        refuses=(409, 507),
    ),
    Route(
        *("POST", f"{BASE}/repair", "Rebuild a damaged gallery from the records that are whole", repair),
        gives=Done,
        refuses=(409, 422, 507),
    ),
    Route(
        *("POST", f"{BASE}/reembed", "Embed the gallery of another model again", reembed),
        gives=Done,
        refuses=(409, 507),
    ),
)

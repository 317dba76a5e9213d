"""Classes and their shots."""

from __future__ import annotations

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartParser
from starlette.requests import Request

from runtime.app.core.messages import Class, Done, Enrolled, MergeClasses, Named, Recognized
from runtime.app.core.state import classes as taught_classes
from runtime.app.web.api.convert import changed, deleted, enrolled, recognized
from runtime.app.web.routes import PICTURE, PICTURES, BadRequest, Call, NotFound, Route
from runtime.gallery import clean_label
from runtime.opencv import decode_image

IMAGES = (
    *("image/jpeg", "image/png", "image/webp", "image/bmp", "image/tiff", "image/avif", "image/heic", "image/heif"),
    "application/octet-stream",
)
MAX_IMAGES = 64
MultiPartParser.spool_max_size = PICTURES  # Starlette would write larger files to the temporary folder of the system


def recognize(call: Call) -> Recognized:
    with call.app.decoding:
        return recognized(call.service.recognizer.recognize(decode_image(call.body, "the body")))


async def add_shots(call: Call) -> Enrolled:
    label = clean_label(call.label)
    pictures = [call.body] if call.body is not None else await _files(call.request)

    def enroll() -> Enrolled:
        frames = (decode_image(data, f"picture {i}") for i, data in enumerate(pictures))  # one decoded at a time
        with call.app.decoding:
            enrollment = call.service.editable.enroll(label, frames, source="upload")
        call.service.changed()
        return enrolled(call, enrollment)

    return await call.in_thread(enroll)


async def _files(request: Request) -> list[bytes]:
    """Return the files of a multipart form. Raises BadRequest."""
    try:
        async with request.form(max_files=MAX_IMAGES, max_fields=0) as form:
            files = [value for _, value in form.multi_items() if isinstance(value, UploadFile)]
            pictures = [await file.read() for file in files]
    except HTTPException as error:  # Starlette raises this for a broken form
        raise BadRequest(f"The form must hold 1 to {MAX_IMAGES} pictures as files, but: {error.detail}", 400) from error
    if not pictures:
        raise BadRequest("The form must hold at least one picture as a file, but it has none.")
    return pictures


def classes(call: Call) -> list[Class]:
    return taught_classes(call.service.recognizer)


def rename(call: Call) -> Done:
    call.service.editable.rename(call.label, call.body.label)
    return changed(call, f"{call.label} is now {call.body.label}")


def merge(call: Call) -> Done:
    count = call.service.editable.merge(call.body.label, into=call.body.into)
    return changed(call, f"moved {count} shots of {call.body.label} into {call.body.into}")


def forget(call: Call) -> Done:
    count = call.service.editable.forget(call.label)
    if call.request.query_params.get("now") == "true":
        call.service.changed()
        return Done(deleted(call.service.editable))
    return changed(call, f"forgot {call.label} and its {count} shots")


def crop(call: Call) -> bytes:
    picture = call.service.recognizer.gallery.crop(call.id)
    if picture is None:
        raise NotFound(f"No picture was stored of shot {call.id}.")
    return picture


def remove_shot(call: Call) -> Done:
    label = call.service.editable.gallery.remove_shot(call.id)
    return changed(call, f"removed shot {call.id} of {label}")


LABEL = ("label",)
BASE = "/api/v1/classes"
ROUTES = (
    Route(
        *("POST", "/api/v1/recognize", "Recognise what one picture shows", recognize),
        takes=IMAGES,
        gives=Recognized,
        limit=PICTURE,
    ),
    Route("GET", BASE, "Every taught class", classes, gives=list[Class]),
    Route(
        *("PATCH", BASE, "Rename a class", rename),
        takes=Named,
        gives=Done,
        query=LABEL,
        refuses=(404, 409, 507),
    ),
    Route(
        *("DELETE", BASE, "Forget a class; with `now` it and what was forgotten before are deleted for good", forget),
        gives=Done,
        query=LABEL,
        filters={"now": {"type": "boolean"}},
        refuses=(404, 409, 507),
    ),
    Route(
        *("POST", f"{BASE}/merge", "Move every shot of a class into another", merge),
        takes=MergeClasses,
        gives=Done,
        refuses=(404, 409, 507),
    ),
    Route(
        *("POST", f"{BASE}/shots", "Teach a class from pictures", add_shots),
        takes=(*IMAGES, "multipart/form-data"),
        gives=Enrolled,
        query=LABEL,
        limit=PICTURES,
        refuses=(409, 507),
    ),
    Route(
        *("GET", "/api/v1/shots/{id:int}/crop", "The picture of a shot", crop),
        gives="image/jpeg",
        refuses=(404,),
    ),
    Route(
        *("DELETE", "/api/v1/shots/{id:int}", "Remove one shot", remove_shot),
        gives=Done,
        refuses=(404, 409, 507),
    ),
)

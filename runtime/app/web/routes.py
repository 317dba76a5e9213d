"""A route says what it takes and gives; its dispatch, its place in the document and its tests follow from that."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import anyio.to_thread
import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from runtime.app.core.messages import Error, ErrorDetail
from runtime.app.core.service import Forgotten, Service, UnknownCamera
from runtime.app.core.session import NotNow
from runtime.app.web.uploads import BodyTooLarge, TooBusy, Upload, Uploads, too_busy
from runtime.errors import (
    EdgefsError,
    FrameError,
    GalleryCorrupt,
    GalleryMismatch,
    GalleryUnwritable,
    InvalidLabel,
    InvalidShot,
    NothingToUndo,
    OptionError,
    UnknownLabel,
)

if TYPE_CHECKING:
    from runtime.app.web.guard import Policy
    from runtime.app.web.metrics import Metrics

SMALL = 16_000  # bytes of a JSON body
PICTURE = 16_000_000  # bytes of one picture: what a phone makes
PICTURES = 24_000_000  # bytes of several
ARCHIVE = 2_000_000_000  # bytes of a gallery, which goes to the disk
MAX_ID = 2**53 - 1  # what JSON's numbers and SQLite's both hold
WORKERS = 4  # threads that answer: the rest of a machine's cores is for the cameras

STATUS: dict[type[Exception], int] = {
    BodyTooLarge: 413,
    TooBusy: 503,
    UnknownCamera: 404,
    Forgotten: 404,
    UnknownLabel: 404,
    InvalidShot: 404,
    NotNow: 409,
    NothingToUndo: 409,
    GalleryMismatch: 409,
    GalleryUnwritable: 507,
    GalleryCorrupt: 422,
    InvalidLabel: 422,
    FrameError: 422,
    OptionError: 422,
}
T = TypeVar("T")
log = logging.getLogger(__name__)


class BadRequest(EdgefsError, ValueError):
    """A request that is not what the route takes."""

    def __init__(self, message: str, status: int = 422) -> None:
        super().__init__(message)
        self.status = status


class NotThere(BadRequest, LookupError):
    """What was asked for is not there, or no longer."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 404)


@dataclass(frozen=True)
class Route:
    """method, path, summary: as in the document.  run: a function that blocks, or a coroutine function.

    takes: a Struct for JSON, a tuple of media types for bytes, None for no body.  limit: bytes of it.
    gives: a Struct or list of them for JSON, else a media type.  open: no token is asked for.  query: its parameters.
    refuses: statuses beyond those that every route can answer.  on_disk: the body is not kept in memory.
    """

    method: str
    path: str
    summary: str
    run: Callable[[Call], Any]
    takes: Any = None
    gives: Any = None
    query: tuple[str, ...] = ()
    open: bool = False
    limit: int = SMALL
    refuses: tuple[int, ...] = ()
    on_disk: bool = False


@dataclass
class App:
    """What every call can reach. decoding: one uploaded picture at a time, each may be 200 MB when decoded."""

    service: Service
    policy: Policy
    metrics: Metrics
    routes: tuple[Route, ...] = ()
    uploads: Uploads = field(default_factory=Uploads)
    decoding: threading.Lock = field(default_factory=threading.Lock)
    workers: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(WORKERS))


@dataclass
class Call:
    """One request to one route. body: JSON decoded, or the bytes."""

    app: App
    request: Request
    body: Any = None

    @property
    def service(self) -> Service:
        return self.app.service

    @property
    def id(self) -> int:
        """The number in the path. Raises NotThere."""
        number: int = self.request.path_params["id"]
        if number > MAX_ID:
            raise NotThere(f"there is no number {number}")
        return number

    @property
    def camera(self) -> str:
        return str(self.request.path_params["camera"])

    @property
    def label(self) -> str:
        """The label of the query. Raises BadRequest."""
        labels = self.request.query_params.getlist("label")
        if len(labels) != 1:
            raise BadRequest(f"the query must name one label (?label=mug), but names {len(labels)}")
        return labels[0]

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Run what blocks without holding up the others."""
        return await anyio.to_thread.run_sync(work, limiter=self.app.workers)


def endpoint(app: App, route: Route) -> Callable[[Request], Awaitable[Response]]:
    """The Starlette endpoint of a route."""

    async def answer(request: Request) -> Response:
        upload: Upload | None = None
        try:
            upload = Upload(request.scope, request.receive, route.limit, app.uploads, counted=not route.on_disk)
            request = Request(request.scope, upload.receive)
            call = Call(app, request)
            call.body = await _body(route, request)
            if asyncio.iscoroutinefunction(route.run):
                result = await route.run(call)
            else:
                result = await call.in_thread(lambda: route.run(call))
            return _response(route, result)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except asyncio.CancelledError:
            if upload is None or not upload.evicted:
                raise
            return error_response(too_busy())
        except Exception as error:
            return error_response(error)
        finally:
            if upload is not None:
                upload.end()

    return answer


def error_response(error: Exception) -> Response:
    """An error as every route answers it; what we did not foresee is logged and says nothing of the inside."""
    status = getattr(error, "status", None) or next((s for kind, s in STATUS.items() if isinstance(error, kind)), 500)
    if status == 500:
        log.error("a request failed", exc_info=error)
    known = isinstance(error, EdgefsError)
    kind, text = (type(error).__name__, str(error)) if known else ("InternalError", "see the log of the server")
    headers = {"connection": "close"} if status in (413, 503) else None  # the rest of the body is not read
    return Response(msgspec.json.encode(Error(ErrorDetail(kind, text))), status, headers, "application/json")


async def _body(route: Route, request: Request) -> Any:
    if route.takes is None or route.on_disk:
        return None
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if isinstance(route.takes, tuple):
        if kind not in route.takes:
            raise BadRequest(f"Content-Type must be one of {', '.join(route.takes)}, but is {kind!r}", 415)
        return None if kind == "multipart/form-data" else await request.body()
    if kind != "application/json":  # a form of another page cannot send this without asking us first
        raise BadRequest(f"Content-Type must be application/json, but is {kind!r}", 415)
    try:
        return msgspec.json.decode(await request.body(), type=route.takes)
    except msgspec.ValidationError as error:
        raise BadRequest(f"the body does not fit: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"the body must be JSON, but: {error}", 400) from error


def _response(route: Route, result: Any) -> Response:
    if isinstance(result, Response):
        return result
    headers = {"cache-control": "no-store"}
    if isinstance(route.gives, str):
        return Response(result, 200, headers, route.gives)
    return Response(msgspec.json.encode(result), 200, headers, "application/json")

"""Routes: each states what it takes and gives, and from that follow its endpoint and its entry in the document."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import anyio.to_thread
import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from runtime.app.actions.actions import UnknownRule
from runtime.app.actions.outbox import OutboxUnusable
from runtime.app.core.cameras import UnknownCamera
from runtime.app.core.messages import Error, ErrorDetail
from runtime.app.core.service import AnswerExpired, Service
from runtime.app.core.session import InvalidState
from runtime.app.visits.store import VisitsUnusable
from runtime.app.web.throttle import Throttle
from runtime.app.web.uploads import BodyTooLarge, TooBusy, Upload, Uploads, discard, too_busy
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
    StaleOperation,
    UnknownLabel,
    Untrusted,
)

if TYPE_CHECKING:
    from runtime.app.actions.actions import Actions
    from runtime.app.web.guard import Policy
    from runtime.app.web.metrics import Metrics

SMALL = 16_000  # bytes of a JSON body
PICTURE = 16_000_000  # bytes of one picture: more than a phone makes
PICTURES = 24_000_000  # bytes of several
ARCHIVE = 2_000_000_000  # bytes of a gallery, which is written to the disk
MAX_ID = 2**53 - 1  # the largest integer that both JSON and SQLite hold exactly
WORKERS = 4  # threads that answer requests: the other cores are for the cameras

STATUS: dict[type[Exception], int] = {
    BodyTooLarge: 413,
    TooBusy: 503,
    UnknownCamera: 404,
    AnswerExpired: 404,
    UnknownLabel: 404,
    UnknownRule: 404,
    InvalidShot: 404,
    InvalidState: 409,
    NothingToUndo: 409,
    StaleOperation: 409,
    GalleryMismatch: 409,
    GalleryUnwritable: 507,
    OutboxUnusable: 507,
    VisitsUnusable: 507,
    GalleryCorrupt: 422,
    InvalidLabel: 422,
    FrameError: 422,
    OptionError: 422,
    Untrusted: 422,
}
T = TypeVar("T")
log = logging.getLogger(__name__)


class BadRequest(EdgefsError, ValueError):
    """The request does not fit the route."""

    def __init__(self, message: str, status: int = 422) -> None:
        super().__init__(message)
        self.status = status


class NotFound(BadRequest, LookupError):
    """What was asked for does not exist, or no longer."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 404)


@dataclass(frozen=True)
class Route:
    """One route of the API.

    Attributes:
        method: The HTTP method.
        path: The path, with `{id:int}` or `{camera}` for its parameter.
        summary: One sentence for the document.
        run: A function that blocks, or a coroutine function.
        takes: A Struct for JSON, a tuple of media types for bytes, None for no body.
        gives: A Struct or a list of them for JSON, else a media type.
        query: The parameters of the query.
        filters: The parameters of the query that may be left out, each with its JSON schema.
        open: Whether the route needs no token.
        limit: The most bytes that the body may have.
        refuses: Error statuses besides those that every route can answer.
        on_disk: Whether the body is written to the disk as it comes.
    """

    method: str
    path: str
    summary: str
    run: Callable[[Call], Any]
    takes: Any = None
    gives: Any = None
    query: tuple[str, ...] = ()
    filters: dict[str, dict[str, Any]] = field(default_factory=dict)
    open: bool = False
    limit: int = SMALL
    refuses: tuple[int, ...] = ()
    on_disk: bool = False


@dataclass
class App:
    """What every call can use. `decoding` permits one uploaded picture at a time, which may be 200 MB when decoded."""

    service: Service
    policy: Policy
    metrics: Metrics
    routes: tuple[Route, ...] = ()
    actions: Actions | None = None
    uploads: Uploads = field(default_factory=Uploads)
    decoding: threading.Lock = field(default_factory=threading.Lock)
    logins: Throttle = field(default_factory=Throttle)
    workers: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(WORKERS))


@dataclass
class Call:
    """One request to one route. `body` is the decoded JSON, or the bytes."""

    app: App
    request: Request
    body: Any = None

    @property
    def service(self) -> Service:
        return self.app.service

    @property
    def id(self) -> int:
        """The id in the path. Raises NotFound."""
        number: int = self.request.path_params["id"]
        if number > MAX_ID:
            raise NotFound(f"There is no id {number}.")
        return number

    @property
    def camera(self) -> str:
        return str(self.request.path_params["camera"])

    @property
    def label(self) -> str:
        """The label of the query. Raises BadRequest."""
        labels = self.request.query_params.getlist("label")
        if len(labels) != 1:
            raise BadRequest(f"The query must name one label (?label=mug), but it names {len(labels)}.")
        return labels[0]

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Run a function that blocks in a worker thread and return its result."""
        return await anyio.to_thread.run_sync(work, limiter=self.app.workers)


def endpoint(app: App, route: Route) -> Callable[[Request], Awaitable[Response]]:
    """Return the Starlette endpoint of a route."""

    async def answer(request: Request) -> Response:
        upload: Upload | None = None
        receive = request.receive
        try:
            upload = Upload(request.scope, receive, route.limit, app.uploads, counted=not route.on_disk)
            request = Request(request.scope, upload.receive)
            call = Call(app, request)
            call.body = await _body(route, request)
            _note(route, request)
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
        except BodyTooLarge as error:
            await discard(receive)
            return error_response(error)
        except Exception as error:
            return error_response(error)
        finally:
            if upload is not None:
                upload.end()

    return answer


def _note(route: Route, request: Request) -> None:
    """Write into the log who asks for a change."""
    if (user := request.scope["user"]) is not None and route.method != "GET":
        log.info(
            "%s: %s %s", user.name, route.method, request.url.path + (f"?{request.url.query}" * bool(request.url.query))
        )


def error_response(error: Exception) -> Response:
    """Return the response for an error; an unexpected error is logged, and its response has no details."""
    status = getattr(error, "status", None) or next((s for kind, s in STATUS.items() if isinstance(error, kind)), 500)
    if status == 500:
        log.error("A request failed.", exc_info=error)
    known = isinstance(error, EdgefsError)
    kind, text = (type(error).__name__, str(error)) if known else ("InternalError", "The server failed; see its log.")
    headers = {"connection": "close"} if status in (413, 503) else None  # the rest of the body is not read
    return Response(msgspec.json.encode(Error(ErrorDetail(kind, text))), status, headers, "application/json")


async def _body(route: Route, request: Request) -> Any:
    if route.takes is None or route.on_disk:
        return None
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if isinstance(route.takes, tuple):
        if kind not in route.takes:
            raise BadRequest(f"Content-Type must be one of {', '.join(route.takes)}, but it is {kind!r}.", 415)
        return None if kind == "multipart/form-data" else await request.body()
    if kind != "application/json":  # a form of another site cannot send this type
        raise BadRequest(f"Content-Type must be application/json, but it is {kind!r}.", 415)
    try:
        body = await request.body()
        return msgspec.json.decode(body, type=route.takes)
    except msgspec.ValidationError as error:
        if "Expected `int" in str(error) and "got `float`" in str(error):  # 1.0 is an integer in JSON Schema
            with suppress(msgspec.ValidationError):
                return msgspec.convert(_with_integers(msgspec.json.decode(body)), type=route.takes)
        raise BadRequest(f"The body must fit the schema, but: {error}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"The body must be JSON, but: {error}.", 400) from error


def _with_integers(value: Any) -> Any:
    """Return JSON with every number that has no fraction as an int, which msgspec accepts for a float too."""
    if isinstance(value, list):
        return [_with_integers(each) for each in value]
    if isinstance(value, dict):
        return {key: _with_integers(each) for key, each in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _response(route: Route, result: Any) -> Response:
    if isinstance(result, Response):
        return result
    headers = {"cache-control": "no-store"}
    if isinstance(route.gives, str):
        return Response(result, 200, headers, route.gives)
    return Response(msgspec.json.encode(result), 200, headers, "application/json")

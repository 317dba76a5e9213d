"""The HTTP server: the routes behind the guard, on uvicorn with deadlines.

It runs in a thread of its own, because Python delivers signals to the main thread.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Mount, WebSocketRoute
from starlette.routing import Route as StarletteRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from runtime.app.actions.actions import Actions
from runtime.app.core.service import Service
from runtime.app.web.api import ROUTES, sources
from runtime.app.web.api.events import PATH, events
from runtime.app.web.api.system import STATIC
from runtime.app.web.deadlines import HttpProtocol, WebSocketProtocol
from runtime.app.web.guard import LOOPBACK_NAMES, Guard, Policy
from runtime.app.web.metrics import Metrics
from runtime.app.web.routes import App, BadRequest, endpoint, error_response
from runtime.app.web.users import User
from runtime.errors import EdgefsError

MAX_HEADER = 16_000  # bytes
MAX_MESSAGE = 1_000_000  # bytes of a WebSocket message from a client: a picture of its camera
GRACE_S = 2.0  # for requests in progress, at the end
WILDCARDS = ("0.0.0.0", "::", "")  # nosec B104 # a comparison, nothing is bound

log = logging.getLogger(__name__)


class PortBusy(EdgefsError, OSError):
    """The address cannot be listened on."""


def listen(host: str, port: int) -> socket.socket:
    """Bind a socket; called before anything slow is opened, so that a busy port is reported first. Raises PortBusy."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=512)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise PortBusy(
            f"{host}:{port} must be free to listen on, but: {why}. "
            f"Stop the program that uses it (`ss -ltnp 'sport = :{port}'` shows it), or choose another with --port."
        ) from error


def is_loopback(host: str) -> bool:
    """Return whether only this machine can connect to an address."""
    return host in LOOPBACK_NAMES or host.startswith("127.")


def policy_for(host: str, port: int, users: Sequence[User] = (), extra: tuple[str, ...] = ()) -> Policy:
    """Return the policy of a server at an address. `extra` are names of --allow-host, such as that of a proxy."""
    local = is_loopback(host)
    machine = socket.gethostname().lower()
    names = LOOPBACK_NAMES | {name.lower() for name in extra}
    if not local:
        names |= {machine, f"{machine}.local"}
    if host not in WILDCARDS:
        names |= {host.lower()}
    return Policy(frozenset(names), any_ip=not local, users=tuple(users), cookie=f"edgefs_{port}")


def build(service: Service, policy: Policy, metrics: Metrics, actions: Actions | None = None) -> ASGIApp:
    """Return the whole app as one ASGI callable."""
    app = App(service, policy, metrics, ROUTES, actions)

    async def socket_events(ws: WebSocket) -> None:
        await events(app, ws)

    async def socket_frames(ws: WebSocket) -> None:
        await sources.frames(app, ws)

    routes: list[BaseRoute] = [
        StarletteRoute(route.path, endpoint(app, route), methods=[route.method]) for route in ROUTES
    ]
    routes.append(WebSocketRoute(PATH, socket_events))
    routes.append(WebSocketRoute(sources.PATH, socket_frames))
    routes.append(Mount("/static", _Static(directory=STATIC, check_dir=False)))
    handlers = {HTTPException: _http_error}
    starlette = Starlette(routes=routes, exception_handlers=handlers)  # type: ignore[arg-type]
    starlette.router.redirect_slashes = False
    open_routes = {(route.method, route.path) for route in ROUTES if route.open}

    def is_open(method: str, path: str) -> bool:
        method = "GET" if method == "HEAD" else method
        return (method, path) in open_routes or (method == "GET" and path.startswith("/static/"))

    def reads(method: str, path: str) -> bool:
        return method in ("GET", "HEAD") or (method == "WEBSOCKET" and path == PATH)

    return Guard(starlette, policy, is_open, reads)


class _Static(StaticFiles):
    """The page's files. Browsers revalidate them at every visit, so that no old script runs after an upgrade."""

    async def get_response(self, path: str, scope: object) -> Response:
        response = await super().get_response(path, scope)  # type: ignore[arg-type]
        response.headers["cache-control"] = "no-cache"
        return response


def _http_error(request: Request, error: HTTPException) -> Response:
    """Return Starlette's own errors (404, 405) in the form of the API."""
    response = error_response(BadRequest(error.detail, error.status_code))
    response.headers.update(error.headers or {})
    if error.status_code == 405:  # Starlette names the methods of the first route only
        response.headers["allow"] = ", ".join(sorted(_methods(request)))
    return response


def _methods(request: Request) -> set[str]:
    """Return the methods of all routes with the path of a request."""
    routes = [route for route in request.app.routes if isinstance(route, StarletteRoute)]
    matching = [route.methods or set() for route in routes if route.matches(request.scope)[0] is not Match.NONE]
    return set().union(*matching) or {"GET", "HEAD"}  # else it is a static file


class Server:
    """Serves an app on a bound socket until closed. `alive_s` is the last moment at which the event loop ran.

    Args:
        app: The app.
        listener: The bound socket.
        tls: The files of certificate and key for HTTPS; None for HTTP.
    """

    def __init__(self, app: ASGIApp, listener: socket.socket, tls: tuple[Path, Path] | None = None) -> None:
        config = uvicorn.Config(
            app,
            http=HttpProtocol,
            ws=WebSocketProtocol,
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws_max_size=MAX_MESSAGE,
            ws_ping_interval=10.0,
            ws_ping_timeout=10.0,
            ws_per_message_deflate=False,
            h11_max_incomplete_event_size=MAX_HEADER,
            timeout_graceful_shutdown=int(GRACE_S),
            backlog=512,
            ssl_certfile=tls and tls[0],
            ssl_keyfile=tls and tls[1],
            callback_notify=self._beat,
            timeout_notify=1,
        )
        self.alive_s = time.monotonic()
        self._server = uvicorn.Server(config)
        self._listener = listener
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self.port: int = listener.getsockname()[1]

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stop the server. The service must be closed first, because it ends the streams."""
        self._server.should_exit = True
        self._thread.join(GRACE_S + 3)
        self._listener.close()

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def _beat(self) -> None:
        self.alive_s = time.monotonic()

    def _run(self) -> None:
        try:
            asyncio.run(self._server.serve(sockets=[self._listener]))
        except Exception:
            log.exception("The HTTP server ended.")

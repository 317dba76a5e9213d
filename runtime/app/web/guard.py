"""Access control: the checks that every request passes before a route sees it, WebSocket and preview included.

Host     must name this server. A page of another site whose name was made to point here (DNS rebinding) sends its own.
Origin   must be this server's, or absent; so must Sec-Fetch-Site, which browsers add: no other page may read or post.
Token    is asked for by all but the open routes, when other machines can connect. It names a user.
Role     A viewer may only read.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from runtime.app.core.messages import Error, ErrorDetail
from runtime.app.web.users import User, holder

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
}
_HEADERS = [(name.encode(), value.encode()) for name, value in HEADERS.items()]

LOG_IN = "Log in with a teacher's access token."
MAX_HEADERS = 100  # a browser sends about 20
MAX_HEADER_BYTES = 32_000  # of all of them

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Policy:
    """What a request must fulfil.

    Attributes:
        names: The names of this server.
        any_ip: Whether an IP address instead of a name is accepted too.
        users: Who may use the app; empty when only this machine can connect, and nobody is asked who they are.
        cookie: The name of the cookie that holds the token.
    """

    names: frozenset[str]
    any_ip: bool
    users: tuple[User, ...]
    cookie: str

    def names_this_server(self, host: str) -> bool:
        """Return whether the value of a Host header is this server. A name can be rebound, an address cannot."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
            _ = urlsplit(f"//{host}").port
        except ValueError:
            return False
        if any(sign in host for sign in "/@?# ") or not name:
            return False
        return name in self.names or (self.any_ip and _is_ip(name))


class Guard:
    """ASGI middleware around the whole app. The user of a request is its `scope["user"]`.

    Args:
        app: The app.
        policy: What a request must fulfil.
        is_open: Tells which (method, path) need no token.
        reads: Tells which (method, path) change nothing; the method of a WebSocket is "WEBSOCKET".
    """

    def __init__(
        self,
        app: ASGIApp,
        policy: Policy,
        is_open: Callable[[str, str], bool],
        reads: Callable[[str, str], bool],
    ) -> None:
        self._app, self._policy, self._is_open, self._reads = app, policy, is_open, reads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            log.info("A WebSocket was refused: %s", refusal[1])
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _with_headers_response(send, *refusal)

    def _refusal(self, scope: Scope) -> tuple[int, str, str] | None:
        """Return None for a permitted request, else status, type and message of the error."""
        size = sum(len(name) + len(value) for name, value in scope["headers"])
        if len(scope["headers"]) > MAX_HEADERS or size > MAX_HEADER_BYTES:
            limits = f"at most {MAX_HEADERS} headers of {MAX_HEADER_BYTES:,} bytes"
            return (
                431,
                "HeadersTooLarge",
                f"A request must have {limits}, but it has {len(scope['headers'])} of {size:,}.",
            )
        headers: dict[bytes, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.lower(), []).append(value.decode("latin-1"))
        hosts = headers.get(b"host", [])
        if len(hosts) != 1 or not self._policy.names_this_server(hosts[0]):
            what = ", ".join(map(repr, hosts)) or "none"
            names = ", ".join(sorted(self._policy.names))
            return 421, "WrongHost", f"The Host must be one of {names}, but it is {what}. Add names with --allow-host."
        origins = headers.get(b"origin", [])
        if len(origins) > 1 or (origins and not _same_origin(origins[0], hosts[0])):
            return 403, "WrongOrigin", f"The Origin must be this server, but it is {origins[0]!r}."
        method, path = scope.get("method", "GET"), scope["path"]
        site = headers.get(b"sec-fetch-site", ["none"])[0]
        followed_a_link = method == "GET" and path == "/" and headers.get(b"sec-fetch-mode") == ["navigate"]
        if site not in ("same-origin", "none") and not followed_a_link:
            return 403, "WrongOrigin", f"Sec-Fetch-Site must be same-origin or none, but it is {site!r}."
        user = scope["user"] = self._user(headers)
        open_ = scope["type"] == "http" and self._is_open(method, path)
        if not self._policy.users or open_:
            return None
        if user is None:
            return 401, "TokenNeeded", "Send the access token as `Authorization: Bearer …`, or log in on the page."
        if user.role == "viewer" and not self._reads(method if scope["type"] == "http" else "WEBSOCKET", path):
            log.warning("%s may only look, and was refused: %s %s", user.name, method, path)
            return 403, "TeacherNeeded", f"Only a teacher may change something, but {user.name} is a viewer. {LOG_IN}"
        return None

    def _user(self, headers: dict[bytes, list[str]]) -> User | None:
        """Return whose token the request has."""
        for value in headers.get(b"authorization", []):
            scheme, _, offered = value.partition(" ")
            return holder(self._policy.users, offered.strip()) if scheme.lower() == "bearer" else None
        try:
            cookies: SimpleCookie = SimpleCookie("; ".join(headers.get(b"cookie", [])))
        except CookieError:
            return None
        cookie = cookies.get(self._policy.cookie)
        return None if cookie is None else holder(self._policy.users, cookie.value)


def _same_origin(origin: str, host: str) -> bool:
    """Compare without the scheme, which is unknown behind a proxy that adds TLS."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and parts.netloc.lower() == host.lower() and not parts.path


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = {name for name, _ in message["headers"]}
            message["headers"] = [*message["headers"], *(header for header in _HEADERS if header[0] not in own)]
        await send(message)

    return send_with_headers


async def _with_headers_response(send: Send, status: int, kind: str, message: str) -> None:
    body = msgspec.json.encode(Error(ErrorDetail(kind, message)))
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *_HEADERS]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    headers.append((b"connection", b"close"))  # the rest of the request is not read
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

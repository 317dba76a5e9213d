"""The page, the health check, the API document, the metrics and the login."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Literal

import msgspec
from starlette.responses import FileResponse, Response

from runtime.app.core.messages import CurrentUser, Done, Login, ServerHealth
from runtime.app.web.apidoc import page_of
from runtime.app.web.guard import LOOPBACK_NAMES
from runtime.app.web.link import address, picture_code
from runtime.app.web.openapi import document
from runtime.app.web.routes import BadRequest, Call, NotFound, Route
from runtime.app.web.throttle import FAILURES
from runtime.app.web.users import holder

STATIC = Path(__file__).parents[1] / "static"
VERSION = "1"  # of the API
YEAR_S = 365 * 24 * 3600

log = logging.getLogger(__name__)


def page(_call: Call) -> Response:
    return FileResponse(STATIC / "index.html", headers={"cache-control": "no-cache"})


def qr_code(call: Call) -> bytes:
    """Return the address at which another device finds this page, as an SVG picture. Raises NotFound."""
    port = call.request.url.port or (443 if call.request.url.scheme == "https" else 80)
    local = call.request.url.hostname in LOOPBACK_NAMES
    if local and not call.app.policy.any_ip:
        raise NotFound("Only this machine can connect. Start with `edgefs live --host 0.0.0.0` for other devices.")
    link = address("" if local else str(call.request.url.hostname), port, https=call.request.url.scheme == "https")
    code = picture_code(link)
    if code is None:
        raise NotFound("The QR code needs the package segno, which is not installed. Do: pip install segno")
    return code


def health(call: Call) -> ServerHealth:
    shared = call.service.recognizer.gallery.shared
    site: Literal["connected", "away"] | None = None if shared is None else "connected" if shared.connected else "away"
    return ServerHealth("ok", call.service.gallery_condition(), site)


def openapi(call: Call) -> bytes:
    return msgspec.json.encode(document(call.app.routes, call.app.policy, VERSION))


def api_page(call: Call) -> str:
    return page_of(document(call.app.routes, call.app.policy, VERSION))


def metrics(call: Call) -> bytes:
    return call.app.metrics.text()


def user(call: Call) -> CurrentUser:
    who = call.request.scope["user"]
    return CurrentUser(None, "teacher") if who is None else CurrentUser(who.name, who.role)


def login(call: Call) -> Response:
    policy, logins = call.app.policy, call.app.logins
    client = call.request.client.host if call.request.client else ""
    if policy.users and (wait_s := logins.wait_s(client)):
        raise BadRequest(f"A client may log in wrongly {FAILURES} times a minute. Try again in {wait_s:.0f} s.", 429)
    who = holder(policy.users, call.body.token)
    if policy.users and who is None:
        logins.failed(client)
        log.warning("A login from %s was refused: the access token was wrong.", client)
        raise BadRequest("This is not the access token, which was printed when the server first started.", 401)
    response = Response(msgspec.json.encode(Done("logged in")), media_type="application/json")
    if who is not None:  # without users there is no login
        log.info("%s (%s) logged in from %s.", who.name, who.role, client)
        response.set_cookie(policy.cookie, call.body.token, max_age=YEAR_S, httponly=True, samesite="strict")
    return response


ROUTES = (
    Route("GET", "/", "The page", page, gives="text/html", open=True),
    Route(
        "GET",
        "/healthz",
        "Tells that the server answers, and whether the gallery can be changed",
        health,
        gives=ServerHealth,
        open=True,
    ),
    Route(
        *("GET", "/api/v1/qr", "The page's address as a QR code, without the token", qr_code),
        gives="image/svg+xml",
        refuses=(404,),
    ),
    Route("GET", "/api/v1/user", "Who the access token belongs to, and their role", user, gives=CurrentUser),
    Route("GET", "/openapi.json", "This document", openapi, gives="application/json"),
    Route("GET", "/api", "This document, for people", api_page, gives="text/html"),
    Route(
        "GET", "/api/v1/metrics", "Metrics for Prometheus", metrics, gives="text/plain; version=0.0.4; charset=utf-8"
    ),
    Route(
        *("POST", "/api/v1/login", "Get the cookie, for pictures and the WebSocket", login),
        takes=Login,
        gives=Done,
        open=True,
        refuses=(401, 429),
    ),
)

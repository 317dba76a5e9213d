"""Access control: every route with every role, Host and Origin responds as declared."""

from __future__ import annotations

import base64
import http.client
import itertools
import os
import re

import pytest

from runtime.app.web.api import ROUTES
from runtime.app.web.api.events import PATH
from runtime.app.web.guard import HEADERS
from runtime.app.web.server import policy_for
from runtime.app.web.token import Token
from runtime.app.web.users import User

ANYBODY = [User("anna", "teacher", Token("0" * 64))]
REFUSED = {401, 403, 421}
ALL = [*((route.method, route.path, route.open) for route in ROUTES), ("GET", "/static/main.js", True)]
ALL += [("GET", "/nothing", False), ("WEBSOCKET", PATH, False)]

HOSTS = {
    "127.0.0.1:{port}": True,
    "localhost:{port}": True,
    "LOCALHOST": True,
    "[::1]:{port}": True,
    "evil.example": False,
    "evil.example:{port}": False,
    "localhost.evil.example": False,
    "127.0.0.1@evil.example": False,
    "127.0.0.1:{port}/": False,
    "localhost:99999999": False,
    "": False,
}
ORIGINS = {
    None: True,
    "http://{host}": True,
    "https://{host}": True,
    "http://evil.example": False,
    "http://{host}.evil.example": False,
    "http://{host}/x": False,
    "null": False,
    "": False,
    "file://{host}": False,
}
ROLES = {"nobody": False, "wrong token": False, "wrong cookie": False, "bearer": True, "cookie": True}


def ask(live, method: str, path: str, host: str, origin: str | None, **headers: str) -> http.client.HTTPResponse:
    """Send exactly these headers and nothing else; a WebSocket is asked for by its upgrade."""
    connection = http.client.HTTPConnection("127.0.0.1", live.port, timeout=10)
    upgrade = method == "WEBSOCKET"
    path = re.sub(r"\{camera\}", "0", re.sub(r"\{id:int\}", "999999", path))
    connection.putrequest("GET" if upgrade else method, path, skip_host=True, skip_accept_encoding=True)
    connection.putheader("Host", host)
    if origin is not None:
        connection.putheader("Origin", origin)
    if upgrade:
        key = base64.b64encode(os.urandom(16)).decode()
        for name, value in (("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")):
            connection.putheader(name, value)
        connection.putheader("Sec-WebSocket-Key", key)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    response = connection.getresponse()
    connection.sock and connection.sock.settimeout(1)
    connection.close()
    return response


def credentials(live, role: str) -> dict[str, str]:
    cookie = f"edgefs_{live.port}"
    return {
        "nobody": {},
        "wrong token": {"Authorization": "Bearer " + "x" * 43},
        "wrong cookie": {"Cookie": f"{cookie}={'x' * 43}"},
        "bearer": {"Authorization": f"Bearer {live.token}"},
        "cookie": {"Cookie": f"other=1; {cookie}={live.token}"},
    }[role]


def expected(open_: bool, holds: bool, host_ok: bool, origin_ok: bool, method: str) -> int | None:
    """The refusal that is declared, or None."""
    refusal = 421 if not host_ok else 403 if not origin_ok else None if open_ or holds else 401
    return 403 if refusal and method == "WEBSOCKET" else refusal  # before the handshake there is one way to say no


@pytest.mark.parametrize("on", ["loopback", "public"])
def test_every_route_role_host_and_origin_answers_as_declared(on, shared_live, public_live):
    live = shared_live if on == "loopback" else public_live
    roles = {"nobody": True} if on == "loopback" else ROLES
    wrong, asked = [], 0
    for (method, path, open_), (role, holds), (host, host_ok), (origin, origin_ok) in itertools.product(
        ALL, roles.items(), HOSTS.items(), ORIGINS.items()
    ):
        if not host_ok and origin not in (None, "http://{host}", "http://evil.example"):
            continue  # the Host decides: a few Origins with it are enough
        if not (host_ok and origin_ok) and role not in ("nobody", "bearer"):
            continue  # and then the role does not matter
        host = host.format(port=live.port)
        sent = None if origin is None else origin.format(host=host)
        status = ask(live, method, path, host, sent, **credentials(live, role)).status
        refusal = expected(open_, holds, host_ok, origin_ok, method)
        asked += 1
        if (status != refusal) if refusal else (status in REFUSED):
            wrong.append((method, path, role, host, sent, status, refusal))
    assert not wrong, f"{len(wrong)} of {asked}: {wrong[:5]}"
    print(f"{asked} requests as declared")


@pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense"])
@pytest.mark.parametrize(("method", "path", "open_"), ALL)
def test_no_other_page_may_embed_or_ask_whatever_its_origin_header(shared_live, method, path, open_, site):
    response = ask(shared_live, method, path, "localhost", None, Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors")
    assert response.status == 403


def test_a_link_on_another_site_may_open_the_page_and_nothing_else(shared_live):
    follow = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    assert ask(shared_live, "GET", "/", "localhost", None, **follow).status not in REFUSED
    assert ask(shared_live, "GET", "/api/v1/state", "localhost", None, **follow).status == 403


@pytest.mark.parametrize("path", ["/", "/healthz", "/api/v1/state", "/nothing", "/api/v1/cameras/0/snapshot"])
def test_every_response_has_the_security_headers(shared_live, path):
    for host in ("localhost", "evil.example"):
        response = ask(shared_live, "GET", path, host, None)
        assert {name: response.getheader(name) for name in HEADERS} == HEADERS


def test_an_address_is_accepted_only_when_other_machines_can_connect_and_a_foreign_name_never():
    policy = policy_for("0.0.0.0", 8080, ANYBODY, ("Shop.Example",))
    assert all(
        policy.names_this_server(host) for host in ("192.168.1.5:8080", "[fe80::1]:8080", "shop.example", "localhost")
    )
    assert not any(
        policy.names_this_server(host) for host in ("evil.example", "1.2.3.4.evil.example", "", "0.0.0.0.evil")
    )
    assert not policy_for("127.0.0.1", 8080).names_this_server("192.168.1.5")
    assert policy_for("shop-pc", 8080, ANYBODY).names_this_server("shop-pc:8080")


def test_login_sets_a_cookie_that_no_script_and_no_other_site_can_use(public_live):
    wrong = public_live.http.post("/api/v1/login", json={"token": "guess"}, headers={"Authorization": ""})
    assert wrong.status_code == 401
    assert "set-cookie" not in wrong.headers
    right = public_live.http.post("/api/v1/login", json={"token": public_live.token}, headers={"Authorization": ""})
    assert right.status_code == 200
    assert "HttpOnly" in right.headers["set-cookie"]
    assert "SameSite=strict" in right.headers["set-cookie"]


@pytest.mark.parametrize(("method", "path"), [(r.method, r.path) for r in ROUTES if r.takes and not r.on_disk])
def test_a_form_of_another_site_is_refused(shared_live, method, path):
    path = path.replace("{camera}", "0").replace("{id:int}", "1")
    for kind in ("application/x-www-form-urlencoded", "text/plain"):
        answer = shared_live.http.request(method, path, content=b"a=1", headers={"Content-Type": kind})
        assert answer.status_code == 415

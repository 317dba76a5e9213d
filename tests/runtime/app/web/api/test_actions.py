"""Actions by the API, on a running app."""

from __future__ import annotations

import http.server
import json
import threading

import pytest

DOOR = {"name": "door", "certainty": "unknown", "do": {"kind": "webhook", "secret": "sixteen characters"}}


@pytest.fixture
def received():
    """A server, as (url, bodies)."""
    bodies = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            bodies.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_): ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://user:pass@127.0.0.1:{server.server_port}/hook?token=1", bodies
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_rule_is_added_fires_is_tested_and_is_removed(live, received):
    url, bodies = received
    rule = DOOR | {"do": DOOR["do"] | {"url": url}}
    assert live.http.put("/api/v1/actions", json=rule).status_code == 200
    live.wait(lambda: bodies)
    assert (bodies[0]["rule"], bodies[0]["label"], bodies[0]["test"]) == ("door", None, False)
    tested = live.http.post("/api/v1/actions/test", json={"name": "door"}).json()
    assert (tested["ok"], tested["what"]) == (True, "204 No Content")
    shown = live.http.get("/api/v1/actions").json()
    assert shown["durable"] is True
    (seen,) = shown["rules"]
    assert (seen["kind"], seen["signed"], seen["waiting"], seen["results"][0]["ok"]) == ("webhook", True, 0, True)
    assert "pass" not in json.dumps(shown)
    assert "sixteen" not in json.dumps(shown)
    assert "token=1" not in json.dumps(shown)
    assert live.http.delete("/api/v1/actions?name=door").status_code == 200
    assert live.http.get("/api/v1/actions").json()["rules"] == []


@pytest.mark.parametrize(
    ("do", "says"),
    [
        ({"kind": "command", "command": ["sh"]}, "must be named in the file of --actions"),
        ({"kind": "csv", "path": "/tmp/x"}, "must be named in the file of --actions"),
        ({"kind": "webhook", "url": "file:///etc/passwd"}, "must begin with http:// or https://"),
        ({"kind": "fax"}, "Invalid value 'fax'"),
    ],
)
def test_what_the_network_may_not_ask_for_is_refused(shared_live, do, says):
    response = shared_live.http.put("/api/v1/actions", json={"name": "x", "do": do})
    assert response.status_code == 422
    assert says in response.json()["error"]["message"]


def test_a_rule_that_is_not_there_is_not_found(shared_live):
    assert shared_live.http.delete("/api/v1/actions?name=none").status_code == 404
    assert shared_live.http.post("/api/v1/actions/test", json={"name": "none"}).status_code == 404
    assert shared_live.http.delete("/api/v1/actions").status_code == 422

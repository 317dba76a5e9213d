"""Users: what each role may do on every route, and what is kept of their tokens."""

from __future__ import annotations

import logging
import re
import stat

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from runtime.app.web.api import ROUTES, sources
from runtime.app.web.api.events import PATH
from runtime.app.web.users import holder, load_users, read_users
from runtime.errors import OptionError


def concrete(path: str) -> str:
    return re.sub(r"\{camera\}", "0", re.sub(r"\{id:int\}", "1", path))


def as_viewer(live) -> dict[str, str]:
    return {"Authorization": f"Bearer {live.viewer_token}"}


@pytest.mark.parametrize(("method", "path", "open_"), [(r.method, r.path, r.open) for r in ROUTES])
def test_a_viewer_may_read_every_route_and_change_nothing_by_any(public_live, method, path, open_):
    with public_live.http.stream(method, concrete(path), headers=as_viewer(public_live)) as response:
        if method == "GET" or open_:
            assert response.status_code not in (401, 403)
        else:
            response.read()
            assert response.status_code == 403
            assert response.json()["error"]["type"] == "TeacherNeeded"
            assert "till is a viewer" in response.json()["error"]["message"]


@pytest.mark.parametrize(("method", "path"), [(r.method, r.path) for r in ROUTES if r.method != "GET"])
def test_a_teacher_is_not_refused_by_any_route(public_live, method, path):
    response = public_live.http.request(method, concrete(path).replace("/0", "/no-camera"))
    assert response.status_code != 403


def test_a_viewer_gets_the_events_but_may_not_send_the_pictures_of_a_camera(public_live):
    url = f"ws://127.0.0.1:{public_live.port}"
    with connect(url + PATH, additional_headers=as_viewer(public_live)) as socket:
        assert '"hello"' in socket.recv(5)
        socket.send('{"undo": 1}')  # nothing that is sent here is obeyed, whoever sends it
        assert socket.recv(5)
    camera = public_live.http.post("/api/v1/cameras", json={"what": "browser"}).json()["id"]
    frames = url + sources.PATH.replace("{camera}", camera)
    try:
        with pytest.raises(InvalidStatus, match="403"):
            connect(frames, additional_headers=as_viewer(public_live))
        with connect(frames, additional_headers={"Authorization": f"Bearer {public_live.token}"}) as socket:
            assert socket.recv(5) == "next"
    finally:
        public_live.http.delete(f"/api/v1/cameras/{camera}")


def test_the_page_learns_who_it_is_and_the_log_says_who_changed_what(public_live, caplog):
    caplog.set_level(logging.INFO)
    get = public_live.http.get
    assert get("/api/v1/user").json() == {"name": "anna", "role": "teacher"}
    assert get("/api/v1/user", headers=as_viewer(public_live)).json() == {"name": "till", "role": "viewer"}
    assert get("/api/v1/user", headers={"Authorization": "Bearer wrong"}).status_code == 401
    public_live.http.put("/api/v1/cameras/0/region", json={"region": None})
    public_live.http.delete("/api/v1/classes?label=mug", headers=as_viewer(public_live))
    public_live.http.post("/api/v1/login", json={"token": public_live.viewer_token}, headers={"Authorization": ""})
    assert "anna: PUT /api/v1/cameras/0/region" in caplog.text
    assert "till may only look, and was refused: DELETE /api/v1/classes" in caplog.text
    assert "till (viewer) logged in from 127.0.0.1" in caplog.text
    assert public_live.viewer_token not in caplog.text


def test_without_users_whoever_can_connect_is_a_teacher(shared_live):
    assert shared_live.http.get("/api/v1/user").json() == {"name": None, "role": "teacher"}


def test_only_digests_are_kept_and_a_user_who_is_removed_has_no_token_any_more(tmp_path):
    path = tmp_path / "state" / "users.json"
    users, fresh = load_users({"anna": "teacher", "till": "viewer"}, path)
    assert set(fresh) == {"anna", "till"}
    assert [holder(users, fresh[name]).name for name in fresh] == ["anna", "till"]
    assert holder(users, "") is None
    assert not any(token in path.read_text() for token in fresh.values())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again, new = load_users({"till": "teacher", "bo": "viewer"}, path)
    assert set(new) == {"bo"}
    assert holder(again, fresh["till"]).role == "teacher"
    assert holder(again, fresh["anna"]) is None
    assert "anna" not in path.read_text()
    _, renewed = load_users({"till": "teacher"}, path, renew=True)
    assert renewed["till"] != fresh["till"]


@pytest.mark.parametrize("text", ["", "anna = 'owner'", "anna", "'a b' = 'viewer'", "[anna]\nrole = 'viewer'"])
def test_a_file_that_is_not_right_is_refused_with_an_example(tmp_path, text):
    path = tmp_path / "users.toml"
    path.write_text(text)
    with pytest.raises(OptionError, match='till = "viewer"'):
        read_users(path)


def test_a_file_of_digests_that_is_not_right_is_named(tmp_path):
    path = tmp_path / "users.json"
    path.write_text("no")
    with pytest.raises(OptionError, match=r"users\.json"):
        load_users({"anna": "teacher"}, path)

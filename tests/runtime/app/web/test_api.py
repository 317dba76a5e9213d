"""The API as a program uses it: teach, recognise, rename, merge, undo, why, not this, the inbox, the gallery file."""

from __future__ import annotations

import io
import json
import time

import cv2
import numpy as np
import pytest
import websockets.sync.client as ws

from runtime.app.web import uploads as uploads_module
from runtime.app.web.api import cameras as cameras_module
from runtime.app.web.routes import PICTURE
from runtime.gallery import export_gallery
from runtime.signing import make_keys


def jpeg(image: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", image)[1].tobytes()


def ok(response) -> dict:
    assert response.status_code == 200, response.text
    return response.json()


def error(response, status: int, kind: str) -> str:
    assert response.status_code == status, response.text
    said = response.json()["error"]
    assert said["type"] == kind
    return said["message"]


def events(live, **headers: str):
    return ws.connect(f"ws://127.0.0.1:{live.port}/api/v1/events", additional_headers=headers)


def until(socket, **fields) -> dict:
    """The next message with these fields."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        message = json.loads(socket.recv(timeout=10))
        if all(message.get(name) == value for name, value in fields.items()):
            return message
    raise AssertionError(f"no message with {fields} came")


def teach(live, label: str, camera: str = "0") -> dict:
    ok(live.http.post(f"/api/v1/cameras/{camera}/teach", json={"label": label}))
    session = live.service.workers[camera].session
    live.wait(lambda: session.teaching and len(session.teaching.kept) >= 3)
    return ok(live.http.post(f"/api/v1/cameras/{camera}/teach/stop", json={"label": label}))


def undo(live, id_: int):
    return live.http.post("/api/v1/undo", json={"id": id_})


def test_the_first_message_is_the_whole_state_and_then_answers_come(live):
    with events(live) as socket:
        hello = json.loads(socket.recv(timeout=5))
        assert hello["type"] == "hello"
        state = ok(live.http.get("/api/v1/state"))
        assert {*hello} == {*state}
        assert hello["cameras"][0]["state"] == "live"
        answer = until(socket, type="answer")
        stages = {"capture", "decode", "preprocess", "embed", "match", "publish", "total"}
        assert {*answer["timings_ms"]} == stages
        assert answer["check"] == "empty gallery"
        assert answer["score"] is None


def test_what_was_shown_and_named_is_recognised_for_every_subscriber(live):
    with events(live) as one, events(live) as other:
        stored = teach(live, "mug")
        assert len(stored["accepted"]) >= 3
        for socket in (one, other):
            kept = until(socket, type="teach", accepted=True)
            assert kept["thumb"].startswith("data:image/jpeg;base64,")
            assert until(socket, type="answer", stable="mug")["label"] == "mug"
    state = ok(live.http.get("/api/v1/state"))
    assert state["undo"]["what"].startswith("enrolled")
    assert state["undo"]["id"] == stored["operation"]
    (mug,) = state["classes"]
    assert mug["label"] == "mug"
    assert live.http.get(f"/api/v1/shots/{mug['crops'][0]}/crop").headers["content-type"] == "image/jpeg"
    shot = f"/api/v1/shots/{mug['crops'][0]}"
    done = ok(live.http.delete(shot))
    assert str(mug["crops"][0]) in done["what"]
    ok(undo(live, done["operation"]))


def test_the_stranger_rate_is_previewed_set_and_remembered(live):
    preview = ok(live.http.post("/api/v1/stranger-rate/preview", json={"rate": 0.2}))
    assert set(preview) == {"of", "changes"}
    assert "20 %" in ok(live.http.put("/api/v1/stranger-rate", json={"rate": 0.2}))["what"]
    assert ok(live.http.get("/api/v1/state"))["stranger_rate"] == 0.2
    assert ok(live.http.get("/api/v1/stranger-rate")) == {"rate": 0.2}
    assert live.service.recognizer.gallery.stranger_rate == 0.2
    error(live.http.put("/api/v1/stranger-rate", json={"rate": 2}), 422, "BadRequest")


def test_a_discarded_teaching_session_stores_nothing(live):
    ok(live.http.post("/api/v1/cameras/0/teach", json={}))
    assert ok(live.http.get("/api/v1/state"))["cameras"][0]["teaching"]
    ok(live.http.delete("/api/v1/cameras/0/teach"))
    error(live.http.delete("/api/v1/cameras/0/teach"), 409, "InvalidState")
    assert ok(live.http.get("/api/v1/classes")) == []


def test_an_invalid_label_keeps_the_teaching_session(live):
    ok(live.http.post("/api/v1/cameras/0/teach", json={}))
    session = live.service.workers["0"].session
    live.wait(lambda: session.teaching and len(session.teaching.kept) >= 3)
    error(live.http.post("/api/v1/cameras/0/teach/stop", json={"label": "a\nb"}), 422, "InvalidLabel")
    assert ok(live.http.post("/api/v1/cameras/0/teach/stop", json={"label": "mug"}))["accepted"]


def test_an_answer_is_explained_and_can_be_rejected(live):
    teach(live, "mug")
    with events(live) as socket:
        answer = until(socket, type="answer", label="mug")
    why = ok(live.http.get(f"/api/v1/answers/{answer['id']}/explain"))
    assert why["label"] == "mug"
    assert why["nearest"][0]["crop"]
    assert why["sentences"]
    assert live.http.get(f"/api/v1/answers/{answer['id']}/crop").status_code == 200
    preview = ok(live.http.post(f"/api/v1/answers/{answer['id']}/reject/preview"))
    assert preview["of"] >= 1
    ok(live.http.post(f"/api/v1/answers/{answer['id']}/reject"))
    assert "not 'mug'" in ok(live.http.get("/api/v1/state"))["undo"]["what"]
    error(live.http.get("/api/v1/answers/999999999/explain"), 404, "AnswerExpired")


def test_rename_merge_forget_undo_and_history(live, tiny):
    for label, seed in (("mug", 1), ("cap", 2), ("lid", 3)):
        files = [("pictures", jpeg(view)) for view in tiny.views(seed, 4)]
        assert len(ok(live.http.post("/api/v1/classes/shots", params={"label": label}, files=files))["accepted"]) >= 3
    ok(live.http.patch("/api/v1/classes", params={"label": "mug"}, json={"label": "cup / <b>"}))
    error(live.http.patch("/api/v1/classes", params={"label": "cap"}, json={"label": "lid"}), 422, "InvalidLabel")
    ok(live.http.post("/api/v1/classes/merge", json={"label": "lid", "into": "cap"}))
    ok(live.http.delete("/api/v1/classes", params={"label": "cap"}))
    assert [c["label"] for c in ok(live.http.get("/api/v1/classes"))] == ["cup / <b>"]
    newest = ok(live.http.get("/api/v1/history"))[0]["id"]
    assert ok(undo(live, newest))["what"].startswith("undone")
    assert {c["label"] for c in ok(live.http.get("/api/v1/classes"))} == {"cup / <b>", "cap"}
    assert len(ok(live.http.get("/api/v1/history"))) >= 5
    named = ok(
        live.http.post("/api/v1/recognize", content=jpeg(tiny.views(1, 9)[8]), headers={"Content-Type": "image/jpeg"})
    )
    assert named["candidate"] == "cup / <b>"
    assert (
        "did you mean"
        in error(live.http.delete("/api/v1/classes", params={"label": "cop"}), 404, "UnknownLabel").lower()
    )


def test_an_undo_means_one_change_and_redo_makes_it_again(live, tiny):
    for label, seed in (("mug", 1), ("cap", 2)):
        files = [("pictures", jpeg(view)) for view in tiny.views(seed, 4)]
        ok(live.http.post("/api/v1/classes/shots", params={"label": label}, files=files))
    forgotten = ok(live.http.delete("/api/v1/classes", params={"label": "cap"}))["operation"]
    ok(undo(live, forgotten))
    for _ in range(2):  # another browser has the same button
        message = error(undo(live, forgotten), 409, "StaleOperation")
        assert "enrolled" in message
        assert "'cap'" in message
    assert [c["label"] for c in ok(live.http.get("/api/v1/classes"))] == ["mug", "cap"]
    state = ok(live.http.get("/api/v1/state"))
    assert state["redo"]["id"] == forgotten
    assert ok(live.http.post("/api/v1/redo", json={"id": forgotten}))["what"].startswith("redone: forgot")
    assert [c["label"] for c in ok(live.http.get("/api/v1/classes"))] == ["mug"]
    error(live.http.post("/api/v1/redo", json={"id": forgotten}), 409, "NothingToUndo")
    assert live.http.post("/api/v1/undo").status_code in (415, 422), "an undo must say which change it means"


def test_an_upload_that_is_no_gallery_is_refused_without_the_name_of_our_temporary_file(live):
    answer = live.http.post("/api/v1/gallery", content=b"no zip", headers={"Content-Type": "application/zip"})
    message = error(answer, 422, "GalleryCorrupt")
    assert "The uploaded file" in message
    assert "/tmp" not in message
    assert "gallery.zip" not in message


def test_the_gallery_is_downloaded_and_uploaded_again(live):
    teach(live, "mug")
    archive = live.http.get("/api/v1/gallery")
    assert archive.headers["content-type"] == "application/zip"
    ok(live.http.delete("/api/v1/classes", params={"label": "mug"}))
    zipped = {"Content-Type": "application/zip"}
    assert ok(live.http.post("/api/v1/gallery", content=archive.content, headers=zipped))["per_class"]["mug"] >= 3
    assert [c["label"] for c in ok(live.http.get("/api/v1/classes"))] == ["mug"]
    error(live.http.post("/api/v1/gallery", content=b"PK nonsense", headers=zipped), 422, "GalleryCorrupt")


def test_a_download_leaves_no_temporary_folder_even_if_its_headers_are_refused(live):
    teach(live, "mug")
    for header in ({}, {"Range": "bytes=x"}, {"Range": "bytes=999999999-"}, {"Range": "bytes=0-9"}):
        live.http.get("/api/v1/gallery", headers=header)
        folder = live.service.recognizer.gallery.path.parent
        live.wait(lambda folder=folder: not list(folder.glob(".edgefs-*")))


def test_with_trusted_keys_an_upload_must_be_signed(live, tmp_path):
    teach(live, "mug")
    zipped = {"Content-Type": "application/zip"}
    unsigned = live.http.get("/api/v1/gallery").content
    live.service.trusted_keys = tmp_path / "trusted"
    live.service.trusted_keys.mkdir()
    make_keys(tmp_path / "maker.key").rename(live.service.trusted_keys / "maker.pub")
    export_gallery(live.service.recognizer.gallery, tmp_path / "signed.zip", key=tmp_path / "maker.key")
    ok(live.http.delete("/api/v1/classes", params={"label": "mug"}))
    message = error(live.http.post("/api/v1/gallery", content=unsigned, headers=zipped), 422, "Untrusted")
    assert message.startswith("The uploaded file must be signed by a key")
    assert ok(live.http.get("/api/v1/classes")) == []
    signed = (tmp_path / "signed.zip").read_bytes()
    assert ok(live.http.post("/api/v1/gallery", content=signed, headers=zipped))["per_class"]["mug"] >= 3


def test_a_stranger_that_was_seen_repeatedly_is_named_from_the_inbox(live, tiny):
    files = [("pictures", jpeg(view)) for view in tiny.views(7, 4)]
    ok(live.http.post("/api/v1/classes/shots", params={"label": "other"}, files=files))
    strangers = live.wait(lambda: ok(live.http.get("/api/v1/inbox")))
    id_ = strangers[0]["id"]
    assert live.http.get(f"/api/v1/inbox/{id_}/crop").headers["content-type"] == "image/jpeg"
    assert ok(live.http.post(f"/api/v1/inbox/{id_}/name", json={"label": "mug"}))["accepted"]
    error(live.http.delete(f"/api/v1/inbox/{id_}"), 404, "UnknownLabel")


def test_a_region_is_stored_beside_the_gallery(live):
    region = {"x": 0.25, "y": 0.25, "w": 0.5, "h": 0.5}
    assert ok(live.http.put("/api/v1/cameras/0/region", json={"region": region}))["region"] == region
    kept = json.loads((live.service.recognizer.gallery.path.parent / "gallery.db.cameras.json").read_text())
    assert kept == {"fake camera": {"region": region, "named": []}}
    for wrong in ({"x": 2, "y": 0, "w": 1, "h": 1}, {"x": 0, "y": 0, "w": 0, "h": 1}, "all", 7):
        error(live.http.put("/api/v1/cameras/0/region", json={"region": wrong}), 422, "BadRequest")


def test_every_viewer_of_the_preview_gets_jpegs(live):
    with (
        live.http.stream("GET", "/api/v1/cameras/0/preview") as one,
        live.http.stream("GET", "/api/v1/cameras/0/preview") as two,
    ):
        for response in (one, two):
            assert response.headers["content-type"].startswith("multipart/x-mixed-replace")
            body = b""
            for chunk in response.iter_bytes():
                body += chunk
                if body.count(b"--edgefs") >= 3:
                    break
            head, _, rest = body.partition(b"\r\n\r\n")
            length = int(head.rpartition(b"Content-Length: ")[2])
            assert cv2.imdecode(np.frombuffer(rest[:length], np.uint8), cv2.IMREAD_COLOR) is not None
    live.wait(lambda: live.service.workers["0"].preview.viewers == 0)


def test_too_many_viewers_are_refused(live, monkeypatch):
    monkeypatch.setattr(cameras_module, "MAX_VIEWERS", 0)
    error(live.http.get("/api/v1/cameras/0/preview"), 429, "BadRequest")


def test_uploads_over_the_limit_are_refused(live, monkeypatch):
    kind = {"Content-Type": "image/jpeg"}
    error(live.http.post("/api/v1/recognize", content=b"x" * (PICTURE + 1), headers=kind), 413, "BodyTooLarge")
    sent = io.BytesIO(b"x" * (PICTURE + 1))
    chunks = iter(lambda: sent.read(1 << 16), b"")
    error(live.http.post("/api/v1/recognize", content=chunks, headers=kind), 413, "BodyTooLarge")
    error(
        live.http.put("/api/v1/cameras/0/region", content=b" " * 20_000, headers={"Content-Type": "application/json"}),
        413,
        "BodyTooLarge",
    )
    assert uploads_module.BUDGET < 50e6


@pytest.mark.parametrize("data", [b"\xff\xd8nonsense", b"", b"<svg/>"])
def test_a_body_that_is_no_picture_is_refused(live, data):
    answer = live.http.post("/api/v1/recognize", content=data, headers={"Content-Type": "image/png"})
    error(answer, 422, "FrameError")


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"{", 400), (b"\xff", 400), (b"[]", 422), (b'{"label": 1}', 422), (b'{"label": "x", "more": 1}', 422)],
)
def test_json_that_does_not_fit_is_refused_with_the_reason(live, body, status):
    answer = live.http.post("/api/v1/cameras/0/teach", content=body, headers={"Content-Type": "application/json"})
    assert error(answer, status, "BadRequest")


def test_an_unknown_path_camera_or_shot_is_404_in_the_form_of_the_api(live):
    error(live.http.get("/api/v1/nothing"), 404, "BadRequest")
    error(live.http.get("/api/v1/cameras/7/snapshot"), 404, "UnknownCamera")
    error(live.http.get(f"/api/v1/shots/{2**70}/crop"), 404, "NotFound")
    assert live.http.put("/api/v1/state").status_code == 405


def test_metrics_count_the_answers(live):
    text = live.wait(lambda: (t := live.http.get("/api/v1/metrics").text) and "edgefs_answers_total{" in t and t)
    assert 'edgefs_camera_live{camera="0"} 1.0' in text
    assert 'edgefs_stage_ms_total{camera="0",stage="embed"}' in text


def test_the_document_has_a_page_for_people(live):
    page = live.http.get("/api")
    assert page.headers["content-type"].startswith("text/html")
    assert "POST /api/v1/recognize" in page.text
    assert "<script" not in page.text


def test_a_stalled_camera_is_shown_within_a_second_and_comes_back(live):
    live.camera.stall()
    stalled = live.wait(lambda: (c := live.service.camera("0")).state == "stalled" and c, timeout_s=1.5)
    assert stalled.message
    assert stalled.frame_age_s > 0.5
    live.camera.resume()
    live.wait(lambda: live.service.camera("0").state == "live")

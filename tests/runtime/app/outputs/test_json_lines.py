"""JSON lines on stdout."""

from __future__ import annotations

import io
import json
import time

from runtime.app.core.hub import Hub
from runtime.app.core.messages import Answer, Camera
from runtime.app.outputs.json_lines import JsonLines


def answer(stable: str | None, camera: str = "0", label: str | None = None) -> Answer:
    return Answer(camera, 1, stable, None, label, "unknown", None, None, None, None, None, "score", 1.0, {})


def camera(state: str = "live", message: str = "", id_: str = "0") -> Camera:
    return Camera(id_, "shop", state, message, None, 0, 0, None, None, 0, False)


def test_every_line_is_json_and_waiting_messages_are_written_before_the_end():
    hub, out = Hub(), io.StringIO()
    lines = JsonLines(hub, out)
    hub.publish(camera())
    hub.publish(answer("mug ü \n"))
    lines.close()
    said = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["type"] for line in said] == ["camera", "answer"]
    assert said[1]["stable"] == "mug ü \n"
    assert abs(said[1]["time_s"] - time.time()) < 60


def test_a_closed_pipe_ends_the_lines():
    class Gone(io.StringIO):
        def write(self, _text):
            raise BrokenPipeError

    hub = Hub()
    lines = JsonLines(hub, Gone())
    hub.publish(camera())
    lines.close()
    assert lines.broken

"""The values have the fields of the messages of vision_msgs 4, and can be sent as JSON."""

import json

import pytest

from runtime.edges.ros import detection_array
from runtime.recognizer import Recognizer

# Message -> field -> the message or the Python type of its value; [x] is an array of it.
FIELDS = {
    "Detection2DArray": {"header": "Header", "detections": ["Detection2D"]},
    "Detection2D": {"header": "Header", "results": ["ObjectHypothesisWithPose"], "bbox": "BoundingBox2D", "id": str},
    "ObjectHypothesisWithPose": {"hypothesis": "ObjectHypothesis", "pose": "PoseWithCovariance"},
    "ObjectHypothesis": {"class_id": str, "score": float},
    "BoundingBox2D": {"center": "Pose2D", "size_x": float, "size_y": float},
    "Pose2D": {"position": "Point2D", "theta": float},
    "Point2D": {"x": float, "y": float},
    "Header": {"stamp": "Time", "frame_id": str},
    "Time": {"sec": int, "nanosec": int},
}


def check(value, kind):
    """Every field exists in the message and has the type of it, as `set_message_fields` demands."""
    if isinstance(kind, list):
        for each in value:
            check(each, kind[0])
    elif isinstance(kind, str):
        assert set(value) <= set(FIELDS[kind]), kind
        for name, each in value.items():
            check(each, FIELDS[kind][name])
    else:
        assert type(value) is kind


@pytest.fixture
def answers(tiny, tiny_bundle):
    """A known thing in one part of the frame, and a stranger in another."""
    with Recognizer(tiny_bundle, engine="onnxruntime", threads=1) as rec:
        for seed in range(2):
            rec.enroll(f"thing {seed}", tiny.views(seed, 4))
        known, stranger = (rec.recognize(tiny.views(seed, 1, start=9)[0]) for seed in (1, 7))
    assert (known.label, stranger.label) == ("thing 1", None)
    return [(known, (100, 40, 20, 30)), (stranger, (0, 0, 320, 240))]


def test_what_is_known_becomes_a_detection_in_its_part_of_the_frame(answers):
    message = json.loads(json.dumps(detection_array(answers, frame_id="camera", stamp_ns=12_000_000_345)))
    check(message, "Detection2DArray")
    (found,) = message["detections"]
    assert found["results"][0]["hypothesis"]["class_id"] == "thing 1"
    assert 0.5 < found["results"][0]["hypothesis"]["score"] <= 1
    assert found["bbox"] == {
        "center": {"position": {"x": 110.0, "y": 55.0}, "theta": 0.0},
        "size_x": 20.0,
        "size_y": 30.0,
    }
    assert message["header"] == found["header"] == {"stamp": {"sec": 12, "nanosec": 345}, "frame_id": "camera"}


def test_a_frame_that_shows_nothing_known_has_no_detection(answers):
    assert detection_array(answers[1:], frame_id="camera", stamp_ns=0)["detections"] == []

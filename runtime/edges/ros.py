"""Answers as messages of ROS 2: `vision_msgs/Detection2DArray` of vision_msgs 4 (Humble and newer), as plain values.

`rosidl_runtime_py.set_message.set_message_fields` makes the message of them, and rosbridge takes them as JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from runtime.recognition import Recognition

Region = tuple[int, int, int, int]  # x, y, width, height in pixels


def detection_array(answers: Sequence[tuple[Recognition, Region]], *, frame_id: str, stamp_ns: int) -> dict[str, Any]:
    """Return the message for one frame.

    Args:
        answers: What was seen, and in which part of the frame; a frame that was looked at as a whole is one part.
            A part in which nothing is known has no detection.
        frame_id: The coordinate frame of the camera, as in the header of its picture.
        stamp_ns: When the frame was taken, in nanoseconds.
    """
    header = {"stamp": {"sec": stamp_ns // 10**9, "nanosec": stamp_ns % 10**9}, "frame_id": frame_id}
    known = [(answer, region) for answer, region in answers if answer.label is not None]
    return {"header": header, "detections": [_detection(answer, region, header) for answer, region in known]}


def _detection(answer: Recognition, region: Region, header: dict[str, Any]) -> dict[str, Any]:
    x, y, width, height = region
    hypothesis = {"class_id": answer.label, "score": min(max(answer.score, 0.0), 1.0)}  # by convention in 0..1
    centre = {"position": {"x": x + width / 2, "y": y + height / 2}, "theta": 0.0}
    return {
        "header": header,
        "results": [{"hypothesis": hypothesis}],  # the pose in space stays that of a new message: it is not known
        "bbox": {"center": centre, "size_x": float(width), "size_y": float(height)},
        "id": "",
    }

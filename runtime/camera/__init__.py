"""Cameras, videos and pictures: `open_camera(source)` returns a FrameSource, whose contract is in base.py."""

from runtime.camera.base import Frame, FrameSource, Region, State
from runtime.camera.fake import FakeCamera
from runtime.camera.newest import LiveSource
from runtime.camera.open import open_camera
from runtime.camera.opencv import camera_devices, has_gstreamer
from runtime.camera.realtime import realtime

__all__ = [
    "FakeCamera",
    "Frame",
    "FrameSource",
    "LiveSource",
    "Region",
    "State",
    "camera_devices",
    "has_gstreamer",
    "open_camera",
    "realtime",
]

"""The cameras: their names are their own, and what is not there is named."""

from __future__ import annotations

import pytest

from runtime.app.core.camera_reader import CameraSource
from runtime.app.core.cameras import UnknownCamera
from runtime.app.core.messages import FrameRegion
from runtime.app.core.service import Service
from runtime.camera import FakeCamera, realtime
from runtime.errors import OptionError
from runtime.recognizer import Recognizer

PART = FrameRegion(0.25, 0.25, 0.5, 0.5)


@pytest.fixture
def service(tiny, tiny_bundle, tmp_path):
    with Recognizer(tiny_bundle, gallery=tmp_path / "gallery.db", engine="onnxruntime", threads=1) as recognizer:

        def camera():
            return realtime(FakeCamera(tiny.views(1, 5), fps=30, loop=True))

        yield Service(recognizer, [CameraSource("door", camera), CameraSource("till", camera)], device="test")


def test_a_name_belongs_to_one_camera_and_takes_the_region_along(service):
    cameras = service.cameras
    cameras.set_region("0", PART)
    with pytest.raises(OptionError, match="another one is called 'till'"):
        cameras.rename("0", "till")
    assert cameras.rename("0", "gate").region == PART
    again = Service(service.recognizer, [CameraSource("gate", lambda: None)], device="test")  # type: ignore[arg-type]
    assert again.camera("0").region == PART


def test_a_camera_that_is_not_there_is_named_with_those_that_are(service):
    with pytest.raises(UnknownCamera, match="one of 0, 1, but got '7'"):
        service.cameras.worker("7")
    for each in (lambda: service.cameras.remove("7"), lambda: service.cameras.rename("7", "x")):
        with pytest.raises(UnknownCamera):
            each()


def test_a_removed_camera_is_gone_and_the_others_stay(service):
    before = service.workers
    service.start()
    try:
        assert service.cameras.remove("0") == "removed door"
        assert list(service.workers) == ["1"]
        assert list(before) == ["0", "1"], "a thread that iterates sees what it began with"
        assert service.cameras.alive_s > 0
        assert not service.cameras.ended
        assert service.cameras.error is None
    finally:
        service.close()

"""USB cameras and GStreamer with a simulated cv2: the calls to the driver, their order, and refusals."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from runtime.camera import camera_devices, has_gstreamer, open_camera
from runtime.camera import opencv as module
from runtime.errors import CameraError, CameraMissing

PROPERTIES = {"CAP_PROP_FOURCC": 6, "CAP_PROP_FRAME_WIDTH": 3, "CAP_PROP_FRAME_HEIGHT": 4, "CAP_PROP_FPS": 5}
SILENT = (False, None)


class StubCv2(SimpleNamespace):
    """A simulated cv2 with one camera, which returns given pictures."""

    def __init__(self, reads: list[Any], opened: bool = True, build: str = "GStreamer: YES (1.20.3)") -> None:
        super().__init__(**PROPERTIES, CAP_V4L2=200, CAP_GSTREAMER=1800, CAP_ANY=0, COLOR_GRAY2BGR=8)
        self.VideoWriter = SimpleNamespace(fourcc=lambda *letters: "".join(letters))
        self.reads, self.opened, self.build = reads, opened, build
        self.asked: list[Any] = []
        self.values = {6: 0.0, 3: 640.0, 4: 480.0, 5: 30.0}

    def getBuildInformation(self) -> str:
        return self.build

    def cvtColor(self, image: np.ndarray, _code: int) -> np.ndarray:
        return np.repeat(image[..., None], 3, axis=2)

    def VideoCapture(self, *source: Any) -> StubCv2:
        self.asked.append(source)
        return self

    def isOpened(self) -> bool:
        return self.opened

    def set(self, key: int, value: Any) -> None:
        self.asked.append((key, value))

    def get(self, key: int) -> float:
        return self.values[key]

    def grab(self) -> bool:
        self.grabbed = self.reads.pop(0) if self.reads else SILENT
        return self.grabbed[0]

    def retrieve(self) -> Any:
        return self.grabbed

    def release(self) -> None:
        self.asked.append("released")


@pytest.fixture
def use(monkeypatch):
    def _use(cv2: StubCv2) -> StubCv2:
        monkeypatch.setattr(module, "load_cv2", lambda: cv2)
        monkeypatch.setattr(module, "_check_device", lambda _path: None)
        return cv2

    return _use


def good(shape: tuple[int, ...] = (4, 6, 3)) -> Any:
    return True, np.zeros(shape, np.uint8)


@pytest.mark.parametrize("source", [0, "0", "/dev/video0"])
def test_motion_jpeg_is_requested_before_the_size(use, source):
    cv2 = use(StubCv2([good()] * 3))
    with open_camera(source, width=640, height=480, fps=30) as camera:
        assert camera.read(5).image.shape == (4, 6, 3)
        assert (camera.name, camera.fps, camera.live) == ("/dev/video0", 30, True)
    assert cv2.asked == [(0, 200), (6, "MJPG"), (3, 640), (4, 480), (5, 30), "released"]


def test_a_size_the_camera_does_not_have_is_logged(use, caplog):
    use(StubCv2([good()]))
    with caplog.at_level(logging.WARNING), open_camera(0, width=1920):
        assert "asked for 1920 x None at None fps and gives 640 x 480 at 30" in caplog.text


def test_a_few_bad_frames_are_skipped_and_an_unplugged_camera_is_an_error(use):
    use(StubCv2([good(), SILENT, SILENT, good()]))
    camera = open_camera(0)
    with pytest.raises(CameraError, match=r"/dev/video0 must go on delivering frames, but 5 reads.*cable"):
        list(camera)
    assert camera.state == "ended"
    camera.close()


def test_a_camera_in_use_is_refused_and_released(use):
    cv2 = use(StubCv2([], opened=False))
    with pytest.raises(CameraMissing, match=r"/dev/video3 must be a camera that is free.*fuser"):
        open_camera(3)
    assert cv2.asked[-1] == "released"


def test_a_camera_that_opens_but_sends_nothing_is_refused_and_released(use):
    cv2 = use(StubCv2([]))
    with pytest.raises(CameraError, match="5 reads in a row failed"):
        open_camera(0)
    assert cv2.asked[-1] == "released"


def test_the_error_for_an_absent_camera_names_the_present_ones(monkeypatch):
    monkeypatch.setattr(module, "camera_devices", lambda: ["/dev/video0", "/dev/video2"])
    with pytest.raises(CameraMissing, match=r"/dev/video97 .*present: /dev/video0, /dev/video2.*`edgefs doctor`"):
        open_camera(97)


def test_the_error_for_an_inaccessible_camera_names_the_group_to_join(tmp_path, monkeypatch):
    monkeypatch.setattr(module.os, "access", lambda *_: False)
    with pytest.raises(CameraMissing, match="usermod -aG video"):
        module._check_device(tmp_path)


def test_a_grey_camera_gives_bgr(use):
    use(StubCv2([good((4, 6))]))
    with open_camera(0) as camera:
        assert camera.read(5).image.shape == (4, 6, 3)


def test_a_raw_format_is_refused(use):
    use(StubCv2([good((4, 6, 4))]))
    with pytest.raises(CameraError, match=r"must give BGR or grey frames.*\(4, 6, 4\)"):
        open_camera("nvarguscamerasrc ! appsink")


def test_a_pipeline_is_opened_with_gstreamer(use):
    cv2 = use(StubCv2([good()]))
    with open_camera("videotestsrc ! appsink"):
        assert cv2.asked[0] == ("videotestsrc ! appsink", 1800)


def test_the_error_without_gstreamer_says_which_opencv_has_it(use):
    use(StubCv2([], build="GStreamer:                   NO"))
    assert not has_gstreamer()
    with pytest.raises(CameraMissing, match=r"PyPI's has none, JetPack's has.*--system-site-packages"):
        open_camera("rtspsrc location=rtsp://a:b@host/x ! appsink")


def test_a_pipeline_must_end_in_an_appsink(use):
    use(StubCv2([]))
    with pytest.raises(CameraMissing, match=r"must end in an appsink.*format=BGR ! appsink"):
        open_camera("videotestsrc ! autovideosink")


def test_the_error_for_a_refused_pipeline_says_how_to_find_the_reason(use):
    use(StubCv2([], opened=False))
    with pytest.raises(CameraMissing, match="gst-launch"):
        open_camera("videotestsrc ! nonsense ! appsink")


@pytest.mark.camera
def test_a_real_camera_sends_frames():
    if not camera_devices():
        pytest.skip("there is no /dev/video* on this machine")
    with open_camera(camera_devices()[0]) as camera:
        assert camera.read(5).image.size

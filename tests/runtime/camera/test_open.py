from __future__ import annotations

import subprocess
import sys

import pytest

from runtime.camera import open_camera
from runtime.errors import CameraMissing


@pytest.mark.parametrize("source", ["nothing.mp4", "/dev/null/x", "usb", "file:///clip.mp4", "long" * 100])
def test_anything_else_is_refused_with_the_possible_forms(source):
    with pytest.raises(CameraMissing, match=r"source must be a camera number.*folder.*rtsp://.*appsink.*no such file"):
        open_camera(source)


def test_an_existing_file_may_have_an_exclamation_mark(tmp_path, clip):
    path = tmp_path / "wow!.mp4"
    path.write_bytes(clip.read_bytes())
    assert len(list(open_camera(str(path)))) == 12


def test_a_long_pipeline_is_not_taken_for_a_file_name():
    with pytest.raises(CameraMissing, match=r"GStreamer|appsink"):
        open_camera("nvarguscamerasrc ! " + "queue ! " * 50 + "fakesink")


def test_a_password_with_an_exclamation_mark_does_not_make_a_url_a_pipeline():
    with pytest.raises(CameraMissing, match=r"rtsp://\*\*\*@127\.0\.0\.1:1/x must.*refused"):
        open_camera("rtsp://admin:hey!@127.0.0.1:1/x")


def test_importing_the_package_does_not_import_opencv():
    probe = "import sys, runtime.camera; sys.exit('cv2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0

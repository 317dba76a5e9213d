"""A plan is added to a bundle without torch; fingerprint, calibration and earlier artifacts stay as they were."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys

import pytest

from edgefs.cli import main
from runtime.bundle import Bundle
from runtime.models import default_bundle

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("tensorrt_rtx") is None,
    reason="needs TensorRT for RTX: pip install 'edgefs[tensorrt-rtx]'",
)
WITHOUT_TORCH = "import sys; sys.modules['torch'] = None; from edgefs.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.fixture
def bundle(tmp_path):
    return default_bundle().save(tmp_path / "shop.edgefs")


def test_a_plan_is_added_without_torch_and_replaced_by_the_next(bundle):
    command = ["bundle", "add-plan", str(bundle.path), "--target", "tensorrt-rtx", "--compute", "SM86", "--json", "-"]
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH, *command], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "tensorrt-rtx fp16" in done.stderr, "the progress is shown"
    assert json.loads(done.stdout)["file"] == "tensorrt-rtx/fp16/model.plan"
    made = Bundle.load(bundle.path)
    assert [a.target for a in made.artifacts].count("tensorrt-rtx") == 1
    assert (made.fingerprint, made.calibration) == (bundle.fingerprint, bundle.calibration)
    assert set(bundle.manifest["files"]) <= set(made.manifest["files"])
    assert len(made.manifest["provenance"]["plans"]) == 1


def test_ctrl_c_ends_the_build_and_leaves_the_bundle(bundle, monkeypatch):
    from exporters.targets import build_progress

    before = (bundle.path / "manifest.json").read_bytes()
    new_monitor = build_progress._new_monitor

    def interrupted(trt, progress, stopped):
        def told(phase):
            progress(phase)
            os.kill(os.getpid(), signal.SIGINT)

        return new_monitor(trt, told, stopped)

    monkeypatch.setattr(build_progress, "_new_monitor", interrupted)
    assert main(["bundle", "add-plan", str(bundle.path), "--target", "tensorrt-rtx", "--compute", "SM86"]) == 130
    assert (bundle.path / "manifest.json").read_bytes() == before


def test_int8_without_pictures_names_the_option(bundle, capsys):
    command = ["bundle", "add-plan", str(bundle.path), "--target", "tensorrt-rtx", "--precision", "int8"]
    assert main(command) == 1
    assert "--calibrate" in capsys.readouterr().err

"""The device needs numpy and what it uses, never a training framework."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ["cv2", "torch", "torchvision", "onnx", "onnxscript", "onnxruntime", "openvino", "tensorrt", "skimage", "PIL"]
HEAVY += ["starlette", "tqdm"]
PROBE = """
import sys
{imports}
print(*sorted({{name.partition(".")[0] for name in sys.modules}} & set(sys.argv[1:])))
"""


def loaded(python, imports):
    """Which of the heavy packages, and of ours, these imports load in a fresh interpreter."""
    return (
        python(PROBE.format(imports=imports), *HEAVY, "runtime", "exporters", "edgefs").stdout.splitlines()[-1].split()
    )


@pytest.mark.parametrize(
    ("imports", "ours"),
    [
        ("import runtime", ["runtime"]),
        ("import runtime.camera, runtime.gallery, runtime.engines.fake", ["runtime"]),
        ("import runtime.engines.onnxruntime, runtime.engines.openvino", ["runtime"]),
        ("import edgefs", ["edgefs"]),
        ("import edgefs; edgefs.Recognizer; edgefs.Bundle; edgefs.open_camera", ["edgefs", "runtime"]),
        ("import edgefs.cli; edgefs.cli.main([])", ["edgefs", "runtime"]),
    ],
)
def test_importing_loads_nothing_heavy(python, imports, ours):
    assert loaded(python, imports) == ours


def test_the_help_loads_not_even_numpy(python):
    code = "import sys, edgefs.cli; edgefs.cli.main([]); print('numpy' in sys.modules)"
    assert python(code).stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize("name", ["cv2", "onnxruntime", "openvino"])
def test_the_probe_would_notice(python, name):
    pytest.importorskip(name)
    assert name in loaded(python, f"import runtime, {name}")


MAIN_JOB = """
import sys
blocked = sys.argv[2:]
for name in blocked:
    sys.modules[name] = None
import numpy as np
from runtime import Bundle, Recognizer

bundle = Bundle.load(sys.argv[1])
bundle.verify()
rng = np.random.default_rng(0)
def thing():
    return np.kron(rng.integers(0, 256, (8, 8, 3)), np.ones((30, 40, 1))).astype(np.uint8)
things = {"mug": thing(), "cup": thing()}
with Recognizer(bundle, gallery=sys.argv[1] + "/../g.db") as rec:
    for name, thing in things.items():
        assert rec.enroll(name, [np.roll(thing, 7 * i, axis=1) for i in range(4)]).accepted
    for name, thing in things.items():
        assert rec.recognize(np.roll(thing, 3, axis=1)).label == name
assert all(sys.modules[name] is None for name in blocked)
print("done")
"""


def test_the_device_does_its_whole_job_without_any_training_framework(python, tiny_bundle_dir):
    blocked = ["torch", "torchvision", "onnx", "onnxscript", "safetensors", "PIL", "skimage", "tqdm"]
    assert python(MAIN_JOB, tiny_bundle_dir, *blocked, "exporters", "edgefs").stdout == "done\n"


@pytest.mark.parametrize("name", ["numpy", "cv2", "runtime.preprocess"])
def test_the_blocking_would_notice(python, tiny_bundle_dir, name):
    done = python(MAIN_JOB, tiny_bundle_dir, name, check=False)
    assert done.returncode != 0
    assert name.partition(".")[0] in done.stderr


CLI = """
import contextlib, sys
for name in sys.argv[1:]:
    sys.modules[name] = None
from edgefs.cli import COMMANDS, main
for name in COMMANDS:
    with contextlib.suppress(SystemExit):
        main([name, "--help"])
print("done")
"""


def test_the_help_of_every_command_needs_neither_torch_nor_opencv(python):
    assert python(CLI, *HEAVY).stdout.endswith("done\n")


def test_without_opencv_the_error_has_the_install_line(python):
    code = """
import sys
sys.modules["cv2"] = None
import numpy as np
from runtime.errors import OpenCVMissing
from runtime.preprocess import Preprocess
try:
    Preprocess((8, 8))(np.zeros((9, 9, 3), np.uint8))
except OpenCVMissing as error:
    print(error)
"""
    message = python(code).stdout
    assert "pip install 'edgefs[pc]'" in message
    assert "Jetson" in message


def test_imports_point_one_way_only():
    lint_imports = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    if lint_imports is None:
        pytest.skip("import-linter is not installed: pip install 'edgefs[dev]'")
    done = subprocess.run([lint_imports, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_what_times_opening_has_nothing_imported_before_it_starts(python):
    code = "import sys, edgefs.bench.opening; print('numpy' in sys.modules)"
    assert python(code).stdout == "False\n"

"""The sdist and the wheel: the same bytes each time, everything that runs and nothing else, usable without a clone."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from email.parser import Parser
from pathlib import Path

import cv2
import numpy
import pytest

import edgefs

pytest.importorskip(
    "hatchling", reason="building needs hatchling here, because tests have no network: pip install hatchling"
)

ROOT = Path(__file__).parents[2]
PACKAGES = ("edgefs", "exporters", "runtime")
COMMIT_TIME = 1_700_000_000
# Files that a build must leave out although they lie in the folder of a package.
LEFT_BEHIND = ("edgefs/__pycache__/main.cpython-311.pyc", "exporters/build/x.py", "runtime/.mypy_cache/x.json")


def source(folder, mode, time):
    """A copy of what is packed, with what tests and tools leave in such folders."""
    nothing = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in (*PACKAGES, "tests", "benchmarks", "recipes"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=nothing)
    for name in ("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", ".gitignore"):
        shutil.copy(ROOT / name, folder / name)
    for name in LEFT_BEHIND:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"left behind")
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(mode)
            os.utime(path, (time, time))
    return folder


def build(folder, out, *targets):
    """Build with what is installed here; `make dist` does it in environments of its own."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(out)]
    for target in targets:
        command += ["-t", target]
    environ = {**os.environ, "SOURCE_DATE_EPOCH": str(COMMIT_TIME)}
    subprocess.run(command, cwd=folder, env=environ, check=True, capture_output=True)
    return out


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return source(tmp_path_factory.mktemp("tree"), 0o644, COMMIT_TIME)


@pytest.fixture(scope="module")
def dist(tree, tmp_path_factory):
    """A folder with one sdist and one wheel, as `make dist` leaves it."""
    return build(tree, tmp_path_factory.mktemp("dist"), "sdist", "wheel")


@pytest.fixture(scope="module")
def wheel(dist):
    (path,) = dist.glob("edgefs-*.whl")
    return path


@pytest.fixture(scope="module")
def sdist(dist):
    (path,) = dist.glob("edgefs-*.tar.gz")
    return path


def test_two_builds_are_the_same_bytes_whatever_the_modes_and_times_of_the_files(wheel, sdist, tmp_path):
    again = build(source(tmp_path / "elsewhere", 0o600, COMMIT_TIME + 12_345), tmp_path / "dist", "sdist", "wheel")
    assert (again / wheel.name).read_bytes() == wheel.read_bytes()
    assert (again / sdist.name).read_bytes() == sdist.read_bytes()


def test_the_wheel_built_from_the_sdist_is_the_wheel_built_from_the_tree(wheel, sdist, tmp_path):
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    again = build(tmp_path / sdist.name.removesuffix(".tar.gz"), tmp_path / "dist", "wheel")
    assert (again / wheel.name).read_bytes() == wheel.read_bytes()


def test_the_wheel_has_every_file_of_the_three_packages_and_no_other(wheel):
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    ours = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and path.suffix != ".pyc" and ".egg-info" not in str(path)
    }
    assert names == ours
    assert {f"{package}/py.typed" for package in PACKAGES} <= names
    assert {"runtime/models/default.edgefs/model.onnx", "runtime/app/web/static/index.html"} <= names


def test_the_sdist_has_what_a_build_needs_and_no_tests(wheel, sdist):
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive.getmembers()}
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert names - packed == {".gitignore", "CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml"}


def test_the_wheel_states_the_version_of_the_code_the_licence_and_the_command(wheel):
    with zipfile.ZipFile(wheel) as archive:
        texts = {name.partition(".dist-info/")[2]: name for name in archive.namelist() if ".dist-info/" in name}
        metadata = Parser().parsestr(archive.read(texts["METADATA"]).decode())
        assert archive.read(texts["entry_points.txt"]).decode().split("\n")[1] == "edgefs = edgefs.cli:main"
    assert metadata["Version"] == edgefs.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert "licenses/LICENSE" in texts
    needed = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
    assert needed == ["numpy>=1.24"]


def test_the_version_is_written_in_one_file():
    quoted = re.compile(rf"version.*[\"']{re.escape(edgefs.__version__)}[\"']")
    files = [ROOT / "pyproject.toml", *(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))]
    found = [path.relative_to(ROOT).as_posix() for path in files if quoted.search(path.read_text())]
    assert found == ["edgefs/__init__.py"]


@pytest.fixture(scope="module")
def installed(dist, tmp_path_factory):
    """Run the command `edgefs` of an environment that has our wheel from a local folder, outside the repository."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home / "venv", with_pip=False)
    python = home / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--no-index", "--find-links", str(dist), "edgefs"], check=True, capture_output=True)
    # What it depends on comes from the environment of the tests; a path file there that names this clone is not read.
    (packages,) = (home / "venv" / "lib").glob("python*/site-packages")
    (packages / "dependencies.pth").write_text(f"{Path(numpy.__file__).parents[1]}\n")
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*words):
        command = [str(python.parent / words[0]), *words[1:]]
        return subprocess.run(command, cwd=home, env=environ, check=True, capture_output=True, text=True).stdout

    return run


def test_the_installed_package_is_the_wheel_and_not_the_clone(installed):
    code = "import edgefs, exporters, runtime; print(edgefs.__file__, exporters.__file__, runtime.__file__)"
    assert all("/venv/lib/" in path for path in installed("python", "-c", code).split())


def test_doctor_runs_from_the_wheel(installed):
    assert json.loads(installed("edgefs", "doctor", "--json", "-"))["edgefs"] == edgefs.__version__


def test_the_demo_runs_from_the_wheel_on_a_clip(installed, tiny, tmp_path):
    pytest.importorskip("onnxruntime")
    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter_fourcc(*"MJPG"), 30, (320, 240))
    for frame in (frame for seed in (1, 2) for frame in tiny.views(seed, 30)):
        writer.write(frame)
    writer.release()
    teach = ("--teach", "mug=0-0.5", "--teach", "cap=1-1.5")
    report = json.loads(installed("edgefs", "demo", "--source", str(clip), *teach, "--json", "-"))
    assert report["taught"]


@pytest.mark.slow
def test_the_demo_passes_from_the_wheel(installed):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("skimage", reason="the photographs come from scikit-image: pip install 'edgefs[demo]'")
    assert json.loads(installed("edgefs", "demo", "--json", "-"))["passed"]

"""What runs on a device with an ARM processor, run by qemu on a small Debian for ARM: part of `make test-container`.

The wheel and the dependencies of a device are those that pip installs there. Nothing is emulated but the processor.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

import edgefs

QEMU = shutil.which("qemu-aarch64-static")
pytestmark = [
    pytest.mark.container,
    pytest.mark.skipif(
        QEMU is None or shutil.which("mmdebstrap") is None,
        reason="an emulator and a Debian for it are needed: apt-get install qemu-user-static mmdebstrap",
    ),
]

ROOT = Path(__file__).parents[2]
PYTHON = "3.11"  # of Debian 12
PLATFORMS = [f"manylinux_2_{minor}_aarch64" for minor in range(17, 37)] + ["manylinux2014_aarch64"]
EMBED = """
import sys, cv2, numpy as np, edgefs
with edgefs.Recognizer(edgefs.default_bundle(), threads=1) as rec:
    np.save("/media/there.npy", rec.embed([cv2.imread(path) for path in sys.argv[1:]]))
"""


class Device:
    """A Debian for ARM in a folder, with edgefs and the dependencies of a device that are installed by pip."""

    def __init__(self, root: Path, wheel: Path) -> None:
        self.root = root
        packages = "--include=python3,libstdc++6"
        command = ["mmdebstrap", "--variant=extract", "--arch=arm64", packages, "bookworm", str(root)]
        subprocess.run(command, check=True, capture_output=True)
        shutil.copy(QEMU, root)
        (root / "media").mkdir(exist_ok=True)
        form = ["--only-binary", ":all:", "--python-version", PYTHON, "--implementation", "cp"]
        platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
        what = [f"{wheel}[app]", "onnxruntime", "opencv-python-headless"]
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(root / "opt/edgefs")]
        subprocess.run([*pip, *form, *platforms, *what], check=True, capture_output=True)

    def python(self, *words: str) -> str:
        """Run its Python; returns what it prints."""
        environ = {"PYTHONPATH": "/opt/edgefs", "HOME": "/root", "PATH": "/usr/sbin:/usr/bin", "LANG": "C.UTF-8"}
        command = ["chroot", str(self.root), f"/{Path(QEMU).name}", "/usr/bin/python3", *words]
        start = time.monotonic()
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        print(f"{' '.join(words)[:60]!r} took {time.monotonic() - start:.1f} s")
        return done.stdout

    def edgefs(self, *words: str) -> dict:
        return json.loads(self.python("-m", "edgefs.cli", *words, "--json", "-"))


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    folder = tmp_path_factory.mktemp("aarch64")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder / "dist"), "-t", "wheel"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    return Device(folder / "root", wheel)


@pytest.fixture(scope="module")
def photos(device, tiny):
    """Four views each of two things; the frames, and their paths on the device."""
    frames = {label: list(tiny.views(seed, 4)) for label, seed in (("mug", 1), ("cap", 2))}
    paths = {}
    for label, views in frames.items():
        (device.root / "media" / label).mkdir()
        paths[label] = [f"/media/{label}/{i}.png" for i in range(len(views))]
        for path, frame in zip(paths[label], views, strict=True):
            cv2.imwrite(f"{device.root}{path}", frame)
    return frames, paths


def test_doctor_finds_every_part_and_the_golden_frames_are_reproduced(device):
    found = device.python("-m", "edgefs.cli", "doctor")
    assert "Linux aarch64" in found
    assert "bundle embedded default: verified" in found
    assert not re.search(r"missing +the live app", found)


def test_its_embeddings_are_those_of_this_machine(device, photos):
    frames, paths = photos
    device.python("-c", EMBED, *(path for each in paths.values() for path in each))
    there = np.load(device.root / "media" / "there.npy")
    with edgefs.Recognizer(edgefs.default_bundle(), threads=1) as rec:
        here = rec.embed([frame for each in frames.values() for frame in each])
    cosines = (here * there).sum(1) / np.linalg.norm(here, axis=1) / np.linalg.norm(there, axis=1)
    print(f"lowest cosine to this machine: {cosines.min():.6f}")
    assert cosines.min() > 0.999


def test_a_thing_taught_there_is_named_there(device, photos):
    _, paths = photos
    for label, (*taught, _) in paths.items():
        device.edgefs("enroll", label, *taught, "--gallery", "/root/shop.db")
    (answer,) = device.edgefs("recognize", paths["mug"][-1], "--gallery", "/root/shop.db")["frames"]
    assert answer["candidate"] == "mug"
    assert answer["score"] > 0.9

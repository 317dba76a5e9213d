"""Run a whole page of the documentation, block by block, as a reader would."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import cv2
import numpy as np

from edgefs.demo.stream import photos
from edgefs.demo.virtual_camera import FPS, HEIGHT, WIDTH, film

ROOT = Path(__file__).parents[2]
EDGEFS = [sys.executable, "-m", "edgefs.cli"]
TIMEOUT_S = 300
TAUGHT = {"cap": "astronaut", "mug": "coffee", "toy": "cat"}
# A later option replaces an earlier one: a measurement may be short here.
SHORTER = {"bench": ["--seconds", "1", "--no-opening"]}


def material(folder: Path) -> None:
    """Write what the pages speak of: photographs of three things at two times, of other things, and two clips."""
    pictures = photos()
    for seed, root in enumerate(("photos", "test-photos")):
        for label, name in TAUGHT.items():
            _pictures(folder / root / label, film(pictures[name], 60, np.random.default_rng([seed, ord(label[0])])))
    for name in ("coins", "retina"):
        _pictures(folder / "other-photos", film(pictures[name], 60, np.random.default_rng(7)), name)
    for name, picture in pictures.items():  # as many classes as training in episodes needs
        for half, part in enumerate(np.array_split(picture, 2, axis=1)):
            _pictures(folder / "many" / f"{name}{half}", (part[8 * i :] for i in range(8)), every=1)
    clips = {"belt": ("coffee", "cat"), "mug-clip": ("coffee",)}
    for clip, names in clips.items():
        form = cv2.VideoWriter_fourcc(*"mp4v")
        writer = cv2.VideoWriter(str(folder / f"{clip}.mp4"), form, FPS, (WIDTH, HEIGHT))
        for name in names:
            for frame in film(pictures[name], 75, np.random.default_rng(9)):
                writer.write(frame)
        writer.release()
    shutil.copy(folder / "test-photos/mug/0.jpg", folder / "photo.jpg")
    _detected(folder)


def _detected(folder: Path) -> None:
    """Write what a detector of Ultralytics leaves of photo.jpg, and its form of a data set."""
    for root, split in (("photos", "train"), ("test-photos", "val")):
        shutil.copytree(folder / root, folder / "dataset" / split)
    run = folder / "runs" / "detect" / "predict"
    for part in ("crops/cup", "labels"):
        (run / part).mkdir(parents=True)
    cv2.imwrite(str(run / "crops/cup/photo.jpg"), cv2.imread(str(folder / "photo.jpg"))[60:660, 340:940])
    (run / "labels/photo.txt").write_text("41 0.5 0.5 0.46875 0.833333\n")


def _pictures(folder: Path, frames, name: str = "", every: int = 10) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i, frame in enumerate(frames):
        if i % every == 0:
            cv2.imwrite(str(folder / f"{name}{i}.jpg"), frame)


def lines(text: str) -> list[str]:
    """The commands of a shell block."""
    return [line for line in text.replace("\\\n", " ").splitlines() if line.strip() and not line.startswith("#")]


def walk(blocks: list[tuple[str, str]], material: Path, here: Path) -> int:
    """Run every block but `text` and `console`; returns the number of commands, examples and files."""
    shutil.copytree(material, here)
    count = 0
    for language, text in blocks:
        if language == "sh":
            for line in lines(text):
                _shell(line, here)
                count += 1
        elif language == "python":
            _finish([sys.executable, "-c", text], here, text)
            count += 1
        elif language == "toml":  # its first line names the file
            (here / text.splitlines()[0].removeprefix("# ")).write_text(text)
            count += 1
    return count


def _shell(line: str, here: Path) -> None:
    assert line.startswith("edgefs "), f"a page shows only commands of edgefs in a block that is run, but: {line}"
    words = line.split()
    if words[1] == "live" and "--headless" not in words:
        return _live(line, here)
    extra = " ".join(SHORTER.get(words[1], ()))
    _finish(["sh", "-c", f'edgefs() {{ {" ".join(EDGEFS)} "$@"; }}; {line} {extra}'], here, line)


def environment() -> dict[str, str]:
    """Variables with which a program finds this checkout."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "2"}


def _finish(command: list[str], here: Path, shown: str) -> None:
    done = subprocess.run(
        command, cwd=here, env=environment(), capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == 0, f"{shown}\n{done.stdout}\n{done.stderr}"


def _live(line: str, here: Path) -> None:
    """Start the app on a free port, wait until it is healthy, and end it."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [*EDGEFS, *line.split()[1:], "--port", str(port)]
    with subprocess.Popen(
        command, cwd=here, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as app:
        try:
            _wait_until_healthy(f"http://127.0.0.1:{port}/healthz", app, line)
        finally:
            app.terminate()
        assert app.wait(60) == 0, line


def _wait_until_healthy(url: str, app: subprocess.Popen, line: str) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                assert answer.status == 200
                return
        except (urllib.error.URLError, ConnectionError):
            assert app.poll() is None, f"{line}\n{app.stderr.read().decode()}"
            assert time.monotonic() < end, f"{line}: not healthy after 60 s"
            time.sleep(0.3)

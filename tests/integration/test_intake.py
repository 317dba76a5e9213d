"""What people bring: one folder full of surprises gives the same pictures on every way in, with warnings as errors."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgefs.cli import main
from edgefs.data import load
from edgefs.data.images import pictures_below
from edgefs.errors import DataCorrupt
from runtime.camera import open_camera
from runtime.preprocess import Preprocess

ROOT = Path(__file__).parents[2]
SUFFIXES = (".png", ".jpg", ".tif", ".webp", ".bmp")
SKIPPED = {
    "moves.gif": b"GIF89a",
    "clip.mp4": b"\0\0\0\x18ftypisom",
    "icon.ico": b"\0\0\1\0\1\0",
    "notes.txt": b"notes",
}
SYSTEM = ("._0.png", ".DS_Store", "Thumbs.db", "desktop.ini")


@pytest.fixture
def photos(tiny, tmp_path):
    """Classes mug, cup and, linked, box: pictures of five formats each, among files that are no pictures."""
    root = tmp_path / "photos"
    for seed, place in ((0, root / "mug"), (1, root / "cup"), (5, tmp_path / "elsewhere")):
        place.mkdir(parents=True)
        for i, (suffix, view) in enumerate(zip(SUFFIXES, tiny.views(seed, 5), strict=True)):
            cv2.imwrite(str(place / f"{i}{suffix}"), view)
        (place / "1.jpg").rename(place / "1.jfif")
        (place / "2.tif").rename(place / "2")
        for name, data in (SKIPPED | dict.fromkeys(SYSTEM, b"\0\5\x16\7")).items():
            (place / name).write_bytes(data)
    for name in ("mug", "cup"):
        (root / name / "back").symlink_to(root)
    (root / "box").symlink_to(tmp_path / "elsewhere")
    (root / "__MACOSX" / "mug").mkdir(parents=True)
    (root / "__MACOSX" / "mug" / "._0.png").write_bytes(b"\0\5\x16\7")
    return root


FOUND = ["0.png", "1.jfif", "2", "3.webp", "4.bmp"]


def test_every_way_in_takes_the_same_pictures(photos, tiny_bundle_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    classes = pictures_below(photos)
    assert {name: [path.name for path in paths] for name, paths in classes.items()} == dict.fromkeys(
        ("box", "cup", "mug"), FOUND
    )
    train = load("folder", photos, "all", preprocess=Preprocess((16, 16)))
    assert (len(train), train.classes) == (15, ("box", "cup", "mug"))
    assert [frame.name for frame in open_camera(photos / "mug")] == sorted(FOUND, key=lambda name: (name[0], name))

    options = ["--bundle", str(tiny_bundle_dir), "--gallery", "shop.db"]

    def told(*words):
        capsys.readouterr()
        status = main([*words, *options, "--json", "report.json"])
        return status, json.loads(Path("report.json").read_text())

    status, report = told("enroll", "--tree", "photos")
    assert (status, [(row["label"], row["pictures"], row["accepted"]) for row in report["classes"]]) == (
        0,
        [("box", 5, 5), ("cup", 5, 5), ("mug", 5, 5)],
    )
    _, report = told("recognize", "photos/mug")
    assert len(report["frames"]) == 5
    _, report = told("gallery", "evaluate", "--root", "photos", "--strangers", "elsewhere")
    counts = {label: sum(outcomes.values()) for label, outcomes in report["outcomes"].items()}
    assert counts == {"box": 5, "cup": 5, "mug": 5, "(strangers)": 5}


def test_what_is_skipped_is_named_once_on_every_way_in(photos, caplog):
    pictures_below(photos)
    (record,) = caplog.records
    for name in SKIPPED:
        assert f"mug/{name}" in record.message
    assert "2 x link that leads back to a folder above it: cup/back, mug/back" in record.message
    assert not any(name in record.message for name in SYSTEM)


def test_a_picture_of_too_many_pixels_is_a_bad_file_and_no_traceback(photos):
    assert cv2.imwrite(str(photos / "mug" / "huge.png"), np.zeros((9000, 9000), np.uint8))
    with pytest.raises(DataCorrupt, match=r"huge\.png cannot be used: a PNG must have 1 to 16,000,000 pixels"):
        load("folder", photos, "all")
    train = load("folder", photos, "all", policy="skip")
    assert (len(train), [Path(name).name for name in train.skipped]) == (15, ["huge.png"])


def strictly(code: str, *arguments: object) -> list[str]:
    """Run code in Python's development mode, which reports what is left open; every warning is an error."""
    command = [
        sys.executable,
        "-X",
        "dev",
        "-W",
        "error",
        "-c",
        f"import gc, sys\n{code}\ngc.collect()",
        *map(str, arguments),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    return done.stdout.split()


def test_intake_of_pictures_warns_of_nothing_and_closes_every_file(photos):
    code = (
        "from edgefs.data import load\n"
        "from runtime.camera import open_camera\n"
        "for folder in sys.argv[1:]:\n"
        "    print(len(load('folder', folder, 'all', cache=False)))\n"
        "    print(len(list(open_camera(folder + '/mug'))))\n"
    )
    assert strictly(code, photos) == ["15", "5"]


def test_intake_of_an_onnx_file_warns_of_nothing_and_closes_every_file(tiny, tmp_path):
    onnx = pytest.importorskip("onnx")
    onnx.save(tiny.model(), tmp_path / "m.onnx")
    code = "from exporters.sources.onnx_source import open_onnx\nprint(*open_onnx(sys.argv[1]).preprocess.shape)"
    assert strictly(code, tmp_path / "m.onnx") == ["32", "32", "3"]


@pytest.mark.torch
@pytest.mark.parametrize("file", ["w.pth", "w.safetensors"])
def test_intake_of_a_checkpoint_warns_of_nothing_and_closes_every_file(tmp_path, file):
    torch, safetensors = pytest.importorskip("torch"), pytest.importorskip("safetensors.torch")
    state = {"module.weight": torch.zeros(2, 2), "module.bias": torch.ones(2)}
    if file.endswith(".pth"):
        torch.save({"state_dict": state, "epoch": 3}, tmp_path / file)
    else:
        safetensors.save_file(state, tmp_path / file)
    code = (
        "from torch import nn\n"
        "from exporters.sources.weights import load_weights\n"
        "network = nn.Linear(2, 2)\n"
        "load_weights(network, sys.argv[1])\n"
        "print(network.bias.sum().item())\n"
    )
    assert strictly(code, tmp_path / file) == ["2.0"]

"""The examples of docs/extending.md: one file and one line each, added to a copy of the packages and run."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "extending.md").read_text()
BLOCK = re.compile(r"```(python|diff)\n(.*?)```", re.DOTALL)


def section(title):
    """The new file, the registry with its old and its new line, and the example of a section."""
    text = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    (_, file), (_, change), (_, example) = BLOCK.findall(text)
    place = re.search(r"One line in `(.*?)`:", text)[1]
    old, new = (line[1:] for line in change.splitlines())
    assert (change[0], change.splitlines()[1][0]) == (" ", "+")
    return file.splitlines()[0].removeprefix("# "), file, place, old, new, example


def run(tmp_path, title, *, then=""):
    path, file, registry, old, new, example = section(title)
    for package in ("edgefs", "exporters", "runtime"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / path).write_text(file)
    text = (tmp_path / registry).read_text()
    assert text.count(f"{old}\n") == 1
    (tmp_path / registry).write_text(text.replace(f"{old}\n", f"{old}\n{new}\n"))
    env = {**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "error::UserWarning", "-c", example + then]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def photos(tmp_path):
    cv2 = pytest.importorskip("cv2")
    for i in range(15):
        pattern = np.kron(np.random.default_rng(i).integers(0, 200, (4, 4)), np.ones((8, 8)))
        folder = tmp_path / "photos" / f"class{i:02d}"
        folder.mkdir(parents=True)
        for k in range(6):
            noise = np.random.default_rng([i, k]).normal(0, 20, pattern.shape)
            cv2.imwrite(str(folder / f"{k}.png"), np.clip(pattern + noise, 0, 255).astype(np.uint8))


@pytest.mark.torch
def test_a_backbone_is_one_file_and_one_line(tmp_path, photos):
    pytest.importorskip("torch")
    assert "2-way 1-shot" in run(tmp_path, "A backbone")


@pytest.mark.torch
def test_a_meta_learning_method_is_one_file_and_one_line_and_has_its_options_in_the_help(tmp_path, photos):
    pytest.importorskip("torch")
    shown = "\nfrom edgefs.cli import main\ntry: main(['train', '--help'])\nexcept SystemExit: pass"
    out = run(tmp_path, "A meta-learning method", then=shown)
    assert "('trained', Accuracy(" in out
    assert "manhattan: 20" in " ".join(out.split())
    assert "--sharpness SHARPNESS factor of the distances (default: 0.1)" in " ".join(out.split())


def test_an_engine_is_one_file_and_one_line(tmp_path):
    pytest.importorskip("onnxruntime")
    assert "name='plain'" in run(tmp_path, "An engine")

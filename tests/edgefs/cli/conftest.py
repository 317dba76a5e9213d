"""A working folder for the commands, and how a test runs one."""

import json

import pytest

from edgefs.cli import main

TINY = ["--bundle", "tiny.edgefs"]
OPTIONS = [*TINY, "--gallery", "shop.db", "--engine", "onnxruntime"]


@pytest.fixture
def shop(tiny, tiny_bundle_dir, tmp_path, monkeypatch):
    """A working folder with the tiny bundle, pictures of three objects, and a gallery that knows two of them."""
    cv2 = pytest.importorskip("cv2")
    monkeypatch.chdir(tmp_path)
    for name, seed in (("mug", 0), ("cup", 1), ("stranger", 5)):
        for part, start in (("show", 0), ("ask", 50)):
            folder = tmp_path / name / part
            folder.mkdir(parents=True)
            for i, view in enumerate(tiny.views(seed, 4, start=start)):
                cv2.imwrite(str(folder / f"{i}.png"), view)
    for name in ("mug", "cup"):
        assert main(["enroll", name, f"{name}/show", *OPTIONS]) == 0
    return tmp_path


@pytest.fixture
def run(capsys):
    """Run a command with `--json -`; return its status, the object on stdout, and stderr."""

    def run(*arguments):
        capsys.readouterr()
        status = main([*map(str, arguments), "--json", "-"])
        out, err = capsys.readouterr()
        return status, json.loads(out), err

    return run

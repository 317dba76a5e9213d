"""Output for any terminal, output files that are checked before the work, and strict JSON."""

import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from edgefs.cli import main
from edgefs.cli.output import allow_ascii, plain, unwritable
from runtime.camera import Frame


def strict(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_plain_makes_strict_json_of_everything_reports_hold(tmp_path):
    report = {
        "nan": float("nan"),
        "numpy": [np.float32("nan"), np.float64("inf"), np.float32(0.5), np.int64(3), np.bool_(True)],
        "array": np.array([[1.0, -np.inf]], np.float32),
        "path": tmp_path,
        3: (1, None, "ü"),
        "frame": Frame(np.zeros((1, 1), np.uint8), 4, 0.5),
    }
    assert strict(json.dumps(plain(report), allow_nan=False)) == {
        "nan": None,
        "numpy": [None, None, 0.5, 3, True],
        "array": [[1.0, None]],
        "path": str(tmp_path),
        "3": [1, None, "ü"],
        "frame": {"image": [[0]], "index": 4, "time_s": 0.5, "decode_ms": 0.0, "name": ""},
    }


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("no/such/folder.json", "there is no folder no/such"),
        ("folder", "it is a folder"),
        ("nul\0byte", "null byte"),
        ("x" * 300, "too long"),
    ],
)
def test_a_file_that_cannot_be_written_is_found_before_the_work(tmp_path, monkeypatch, capsys, path, why):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    monkeypatch.setattr("edgefs.cli.commands.doctor.run", lambda _: pytest.fail("the work has begun"))
    assert main(["doctor", "--json", path]) == 1
    message = capsys.readouterr().err
    assert f"--json {path} cannot be written: " in message
    assert why in message
    assert message.endswith("; choose another place\n")


@pytest.mark.skipif(getattr(os, "geteuid", int)() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_found(tmp_path):
    tmp_path.chmod(0o500)
    assert "permission denied" in unwritable("--json", tmp_path / "x.json")


def test_a_file_that_can_be_written_is_not_created_by_the_check(tmp_path):
    assert unwritable("--json", tmp_path / "x.json") is None
    assert unwritable("--json", None) is None
    assert list(tmp_path.iterdir()) == []


def test_a_terminal_that_knows_only_ascii_gets_similar_characters():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    allow_ascii(stream)
    print("≤ 5 %, 86 ± 1 … → 中", file=stream, flush=True)
    assert stream.buffer.getvalue().decode() == "<= 5 %, 86 +- 1 ... -> ?\n"


def test_a_command_runs_on_an_ascii_terminal(shop):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [
        sys.executable,
        "-m",
        "edgefs.cli",
        "gallery",
        "classes",
        "--gallery",
        "shop.db",
        "--bundle",
        "tiny.edgefs",
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "mug" in done.stdout

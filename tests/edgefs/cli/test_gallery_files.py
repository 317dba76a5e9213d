"""Check, repair, backup, restore and purge from the shell."""

import json
from pathlib import Path

import numpy as np
import pytest

from edgefs.cli import main
from runtime.gallery import NewShot, open_gallery

DIM = 8
CROP = b"a picture of a mug" * 20


@pytest.fixture
def shop(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with open_gallery("shop.db", fingerprint="a" * 64, dim=DIM) as gallery:
        for label in ("mug", "cup"):
            rows = np.random.default_rng(len(label)).standard_normal((3, DIM)).astype(np.float32)
            gallery.add(label, [NewShot(row, CROP + label.encode(), "b", 0.5, "camera 0", 1e9) for row in rows])
    return tmp_path / "shop.db"


def run(*words, status=0):
    assert main(["gallery", *words, "--gallery", "shop.db", "--json", "out.json"]) == status
    return json.loads(Path("out.json").read_text()) if not status else None


def test_a_damaged_gallery_is_listed_checked_and_repaired(shop, capsys):
    assert run("check")["damaged"] == []
    assert run("repair")["kept"] is None
    data = bytearray(shop.read_bytes())
    data[data.index(b"camera 0") + 1] ^= 1  # in the record of a shot
    data[150] ^= 1  # in the schema
    shop.write_bytes(data)
    assert len(run("ls")["classes"]) == 2
    assert "Run: edgefs gallery repair --gallery shop.db" in capsys.readouterr().out
    run("check", status=1)
    assert "edgefs gallery repair" in capsys.readouterr().err
    run("rename", "mug", "bowl", status=1)
    report = run("repair")
    assert Path(report["kept"]).exists()
    assert run("check")["damaged"] == []
    run("rename", "mug", "bowl")


def test_a_backup_is_written_and_restored(shop, capsys):
    run("backup", "copy.db")
    assert "edgefs gallery restore copy.db --gallery shop.db" in capsys.readouterr().out
    run("rm", "mug")
    assert [c["label"] for c in run("ls")["classes"]] == ["cup"]
    assert Path(run("restore", "copy.db")["kept"]).exists()
    assert [c["label"] for c in run("ls")["classes"]] == ["mug", "cup"]
    run("restore", "absent.db", status=1)
    assert "edgefs gallery backup absent.db" in capsys.readouterr().err


def test_a_class_is_deleted_for_good_at_once_or_by_a_purge(shop, capsys):
    run("rm", "mug")
    assert CROP + b"mug" in shop.read_bytes(), "it can still be undone"
    assert run("purge")["purged"]["shots"] == 3
    assert CROP + b"mug" not in shop.read_bytes()
    run("rm", "cup", "--now")
    assert "for good" in capsys.readouterr().out
    assert CROP not in shop.read_bytes()
    run("undo", status=1)

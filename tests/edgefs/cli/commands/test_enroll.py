"""`edgefs enroll` succeeds only if it stored something."""

import shutil

import cv2
import numpy as np
import pytest

from runtime.errors import GalleryUnwritable
from runtime.gallery import open_gallery
from runtime.recognizer import Recognizer

OPTIONS = ["--bundle", "tiny.edgefs", "--gallery", "shop.db", "--engine", "onnxruntime"]


def test_an_enrolment_that_stored_nothing_fails_also_for_a_class_that_exists(shop, run):
    cv2.imwrite("black.png", np.zeros((60, 80, 3), np.uint8))
    for label, shots in (("mug", 4), ("night", 0)):
        status, report, err = run("enroll", label, "black.png", *OPTIONS)
        assert (status, report["passed"], report["shots"], report["accepted"]) == (1, False, shots, [])
        assert "0 shots taken, 1 frames refused" in err


def tree(shop, **folders):
    """Class folders with the pictures of a thing of the shop."""
    for name, thing in folders.items():
        shutil.copytree(shop / thing / "show", shop / "tree" / name)
    return shop / "tree"


TREE = ["--bundle", "tiny.edgefs", "--gallery", "tree.db", "--engine", "onnxruntime"]


def taught():
    with open_gallery("tree.db", fingerprint=None, dim=None) as gallery:
        return {label: len(known.ids) for label, known in gallery.classes.items()}


BAD = {
    "a name that is too long": "x" * 101,
    "a reserved name": "Unknown",
    "no picture": "empty",
    "only damaged pictures": "damaged",
    "only videos": "videos",
}


@pytest.mark.parametrize("name", BAD.values(), ids=BAD)
def test_a_bad_folder_of_a_tree_is_reported_and_the_others_are_kept(shop, run, name):
    root = tree(shop, box="stranger", mug="mug")
    (root / name).mkdir()
    if name not in ("empty", "videos", "damaged"):
        shutil.copy(root / "mug" / "0.png", root / name)
    if name == "damaged":
        (root / name / "0.png").write_bytes(b"broken")
    if name == "videos":
        (root / name / "0.gif").write_bytes(b"GIF89a")
    status, report, err = run("enroll", "--tree", "tree", *TREE)
    assert (status, report["passed"]) == (1, False)
    assert taught() == {"box": 4, "mug": 4}
    rows = {row["label"]: row for row in report["classes"]}
    assert {label: row["accepted"] for label, row in rows.items()} == {"box": 4, "mug": 4, name: 0}
    assert name[:20] in err
    assert bool(rows[name]["problem"]) == (name != "damaged")
    assert len(rows[name]["unreadable"]) == (name == "damaged")


def test_two_folders_that_would_become_one_class_are_both_reported(shop, run):
    tree(shop, **{"box": "stranger", "mug": "mug", "mug ": "cup"})
    status, report, _ = run("enroll", "--tree", "tree", *TREE)
    assert (status, taught()) == (1, {"box": 4})
    assert sum("'mug', 'mug ' differ only in" in (row["problem"] or "") for row in report["classes"]) == 2


def test_what_was_taught_stays_when_the_gallery_cannot_be_written_later(shop, run, monkeypatch):
    tree(shop, box="stranger", cup="cup", mug="mug")
    real = Recognizer.enroll

    def enroll(self, label, frames, *, source):
        if label == "cup":
            raise GalleryUnwritable("the disk is full")
        return real(self, label, frames, source=source)

    monkeypatch.setattr(Recognizer, "enroll", enroll)
    status, report, err = run("enroll", "--tree", "tree", *TREE)
    assert (status, taught()) == (1, {"box": 4, "mug": 4})
    assert [row["problem"] for row in report["classes"]] == [None, "the disk is full", None]
    assert "cup: the disk is full" in err

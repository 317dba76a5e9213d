"""The pictures of folders: found through links and by content; what is left out is counted and named."""

import logging
import os

import cv2
import numpy as np
import pytest

from runtime.errors import CameraMissing
from runtime.pictures import is_system, pictures_below, pictures_in


def picture(suffix=".png"):
    return cv2.imencode(suffix, np.zeros((8, 8, 3), np.uint8))[1].tobytes()


FILES = {  # name -> its bytes, and why it is skipped: "" is a picture, None is not even mentioned
    "a.png": (picture(), ""),
    "b.JPG": (picture(".jpg"), ""),
    "c.jfif": (picture(".jpg"), ""),
    "d.tif": (picture(".tiff"), ""),
    "e.webp": (picture(".webp"), ""),
    "f.bmp": (picture(".bmp"), ""),
    "damaged.jpg": (b"broken", ""),
    "empty.png": (b"", ""),
    "no-suffix": (picture(), ""),
    "photo.heic": (b"\0\0\0\x18ftypheic", ""),
    "photo.avif": (b"\0\0\0\x18ftypavif", ""),
    "renamed.dat": (b"\0\0\0\x14ftypheic\0\0\0\0", ""),
    "moves.gif": (b"GIF89a", "video (GIF)"),
    "clip.mp4": (b"\0\0\0\x18ftypisom", "video (MP4)"),
    "icon.ico": (b"\0\0\1\0\1\0", "ICO"),
    "scan.pdf": (b"%PDF-1.7", "PDF"),
    "notes.txt": (b"notes", "other file"),
    "._a.png": (b"\0\5\x16\7", None),
    ".DS_Store": (b"\0\0\0\1Bud1", None),
    "Thumbs.db": (b"\xd0\xcf\x11\xe0", None),
    "desktop.ini": (b"[.ShellClassInfo]", None),
}


@pytest.fixture
def folder(tmp_path):
    for name, (data, _) in FILES.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def test_every_file_of_a_folder_is_a_picture_or_skipped_with_a_reason_or_of_the_system(folder):
    found = pictures_in(folder)
    assert [path.name for path in found.pictures] == sorted(name for name, (_, why) in FILES.items() if why == "")
    assert {path.name: why for path, why in found.skipped.items()} == {
        name: why for name, (_, why) in FILES.items() if why
    }
    assert pictures_below(folder).classes == {".": found.pictures}


def test_what_is_skipped_is_counted_and_named(folder, caplog):
    for i in range(7):
        (folder / f"{i}.gif").write_bytes(b"GIF89a")
    with caplog.at_level(logging.WARNING):
        pictures_in(folder).tell()
    (record,) = caplog.records
    assert "skipped 12 that are no pictures\n  8 x video (GIF): 0.gif, 1.gif, 2.gif, 3.gif, 4.gif …\n" in record.message
    assert "1 x ICO: icon.ico" in record.message
    caplog.clear()
    (folder / "clean").mkdir()
    assert pictures_in(folder / "clean").tell().named() == ""
    assert not caplog.records


@pytest.mark.parametrize("name", ["__MACOSX", "__macosx", ".Trashes", "@eaDir", "THUMBS.DB", "$RECYCLE.BIN", ".git"])
def test_folders_and_files_of_systems_are_no_classes(tmp_path, name):
    assert is_system(name)
    (tmp_path / "cup").mkdir()
    (tmp_path / "cup" / "a.png").write_bytes(picture())
    (tmp_path / name).mkdir()
    (tmp_path / name / "a.png").write_bytes(picture())
    assert list(pictures_below(tmp_path).classes) == ["cup"]


def test_linked_folders_and_files_are_followed_and_loops_are_named(tmp_path):
    root, elsewhere = tmp_path / "photos", tmp_path / "elsewhere"
    for place in (root / "a", root / "b" / "c", elsewhere / "deep"):
        place.mkdir(parents=True)
        (place / "1.png").write_bytes(picture())
    (root / "linked").symlink_to(elsewhere)
    (root / "relative").symlink_to("a")
    (root / "a" / "2.png").symlink_to(elsewhere / "deep" / "1.png")
    (root / "a" / "gone.png").symlink_to(tmp_path / "nothing.png")
    (root / "a" / "gone.txt").symlink_to(tmp_path / "nothing.txt")
    for loop, target in (("loop", root), ("up", tmp_path), ("b/c/back", root / "b"), ("b/self", root / "b" / "self")):
        (root / loop).symlink_to(target)
    (elsewhere / "home").symlink_to(root)
    found = pictures_below(root)
    assert {name: [path.name for path in paths] for name, paths in found.classes.items()} == {
        "a": ["1.png", "2.png", "gone.png"],  # a link to nothing is reported as unreadable, like a damaged picture
        "b/c": ["1.png"],
        "linked/deep": ["1.png"],
        "relative": ["1.png", "2.png", "gone.png"],
    }
    leading_back = {p.relative_to(root).as_posix() for p, why in found.skipped.items() if "leads back" in why}
    assert leading_back == {"loop", "up", "b/c/back", "linked/home"}
    assert {found.skipped[root / path] for path in ("a/gone.txt", "b/self")} == {"link to nothing"}


def test_pipes_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    found = pictures_in(tmp_path)
    assert (found.pictures, list(found.skipped.values())) == ([], ["no regular file"])


def test_an_empty_folder_is_a_class_without_pictures_and_folders_are_named_where_only_one_is_read(tmp_path):
    (tmp_path / "cup").mkdir()
    assert pictures_below(tmp_path).classes == {"cup": []}
    assert "1 x folder below, which is not looked into: cup" in pictures_in(tmp_path).named()


def test_a_folder_that_cannot_be_read_is_an_error_and_not_a_missing_class(tmp_path):
    with pytest.raises(CameraMissing, match=r"gone must be readable, but: No such file"):
        pictures_below(tmp_path / "gone")

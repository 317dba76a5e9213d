"""A file or a folder is replaced completely or not at all."""

import os

import pytest

from runtime import durable
from runtime.durable import put_in_place, replaced, write_file


def test_a_file_is_written_with_its_folder_and_replaced(tmp_path):
    path = tmp_path / "new" / "a.json"
    for data in (b"one", b"two"):
        write_file(path, data)
        assert path.read_bytes() == data
    assert [each.name for each in path.parent.iterdir()] == ["a.json"]


def test_a_failed_write_leaves_the_old_file_alone(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_file(path, b"old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_file(path, b"new")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("a.json", b"old")]


@pytest.mark.parametrize("exchange", [True, False])
@pytest.mark.parametrize("there", ["nothing", "file", "folder"])
@pytest.mark.parametrize("made", ["file", "folder"])
def test_anything_is_put_in_the_place_of_anything(tmp_path, monkeypatch, made, there, exchange):
    if not exchange:
        monkeypatch.setattr(durable, "_exchange", lambda *_: False)

    def make(path, kind, text):
        if kind == "folder":
            path.mkdir()
        if kind != "nothing":
            (path / "x" if kind == "folder" else path).write_text(text)

    new, path = tmp_path / "new", tmp_path / "a"
    make(new, made, "new")
    make(path, there, "old")
    put_in_place(new, path)
    assert (path / "x" if made == "folder" else path).read_text() == "new"
    assert [each.name for each in tmp_path.iterdir()] == ["a"]
    assert not replaced(path).exists()

"""Which pictures are found, in which order, and under which label."""

import pytest

from edgefs.bulk.pictures import Picture, find_pictures
from runtime.errors import CameraMissing

pytestmark = pytest.mark.fleet


def test_a_folder_gives_its_pictures_with_the_folder_they_are_in(photos):
    found = find_pictures(str(photos))
    assert len(found) == 102
    assert found == find_pictures(str(photos))
    assert [one.label for one in found if "box" in one.path] == ["shelf/box"] * 20
    assert not any(one.path.endswith("notes.txt") for one in found)
    (photos / "top.png").write_bytes(b"x")
    assert find_pictures(str(photos))[0] == Picture(str(photos / "top.png"), None)


def test_a_list_gives_the_pictures_in_its_lines(photos, tmp_path):
    listed = tmp_path / "list.txt"
    listed.write_text(f"photos/mug/00.png\n\n{photos / 'cup' / '03.png'}\nphotos/mug/00.png\n")
    found = find_pictures(str(listed))
    assert [(one.label, one.path) for one in found] == [
        ("mug", str(tmp_path / "photos/mug/00.png")),
        ("cup", str(photos / "cup" / "03.png")),
    ]


def test_a_store_gives_the_same_pictures_as_the_folder(photos):
    (photos / "mug" / "50 % off #1?.png").write_bytes((photos / "mug" / "00.png").read_bytes())
    (photos / "mug" / ".hidden.png").write_bytes(b"x")
    here, there = find_pictures(str(photos)), find_pictures(f"file://{photos}/")
    assert sorted(one.label for one in there) == sorted(one.label for one in here)
    assert sorted(one.read() for one in there) == sorted(one.read() for one in here)


@pytest.mark.parametrize("source", ["absent", "file:///absent/folder", "nonsense://bucket/folder", "empty"])
def test_what_holds_no_picture_is_an_error_that_names_it(source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CameraMissing, match=source.partition("://")[0]):
        find_pictures(source)

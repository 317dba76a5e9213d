"""Sources that are added while the app runs: what is permitted, and what is remembered."""

from __future__ import annotations

import pytest

from runtime.app.core.camera_reader import CameraSource
from runtime.app.core.sources import MOST, AddedSources, any_remembered, check, list_path
from runtime.errors import OptionError


@pytest.mark.parametrize(
    "what", ["0", "/dev/video2", "rtsp://u:p@host/a", "HTTPS://host/v.mjpg", "browser", "demo", "."]
)
def test_cameras_addresses_files_and_the_browser_are_permitted(what):
    check(what)


@pytest.mark.parametrize(
    "what",
    ["filesrc location=/etc/passwd ! appsink", "@list", "file:///etc/passwd", "nothing here", "", "a\0b", "9999"],
)
def test_pipelines_lists_and_what_does_not_exist_are_refused_with_the_forms_that_are_permitted(what):
    with pytest.raises(OptionError, match="camera number, a file or folder"):
        check(what)


def test_what_was_added_is_there_after_a_restart_with_its_name(tmp_path):
    gallery = tmp_path / "shop.db"
    added = AddedSources(gallery)
    id_, source = added.add("rtsp://user:secret@host/a", None, set())
    assert source.name == "rtsp://***@host/a"
    added.rename(id_, "Door")
    assert any_remembered(gallery)
    assert {key: each.name for key, each in AddedSources(gallery).remembered().items()} == {id_: "Door"}
    added.remove(id_)
    assert not any_remembered(gallery)


def test_the_list_with_its_passwords_is_readable_by_the_owner_only(tmp_path):
    AddedSources(tmp_path / "shop.db").add("rtsp://user:secret@host/a", None, set())
    assert list_path(tmp_path / "shop.db").stat().st_mode & 0o777 == 0o600


def test_ids_are_not_used_again_while_a_later_one_exists_and_names_are_different():
    added = AddedSources(None)
    first, _ = added.add("0", None, set())
    second, source = added.add("1", "0", {"0"})
    added.remove(first)
    third, _ = added.add("2", None, set())
    assert len({first, second, third}) == 3
    assert source.name == "0 2"


def test_a_browsers_camera_gets_a_feed_and_loses_it_when_it_is_removed():
    added = AddedSources(None)
    id_, _ = added.add("browser", "phone", set())
    assert added.feeds[id_].name == "phone"
    added.remove(id_)
    assert added.feeds == {}


def test_the_number_of_sources_is_limited():
    added = AddedSources(None, lambda what: CameraSource(what, lambda: None))
    for _ in range(MOST):
        added.add("0", None, set())
    with pytest.raises(OptionError, match="Remove one first"):
        added.add("0", None, set())


def test_a_list_that_cannot_be_read_or_written_ends_nothing(tmp_path, caplog):
    gallery = tmp_path / "shop.db"
    list_path(gallery).write_text("{broken")
    assert AddedSources(gallery).remembered() == {}
    added = AddedSources(tmp_path / "absent" / "shop.db")
    added.add("0", None, set())
    assert list(added.remembered()) == ["s1"]
    assert "cannot be read" in caplog.text
    assert "cannot be written" in caplog.text

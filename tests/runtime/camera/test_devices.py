"""The cameras that are connected to this machine."""

from __future__ import annotations

from runtime.camera.devices import connected_cameras


def node(sysfs, number, name, index):
    folder = sysfs / f"video{number}"
    folder.mkdir()
    (folder / "name").write_text(f"{name}\n")
    (folder / "index").write_text(f"{index}\n")


def test_every_camera_is_listed_once_in_the_order_of_its_number(tmp_path):
    for number, name, index in [(10, "Second: cam", 0), (0, "USB cam", 0), (1, "USB cam", 1)]:
        node(tmp_path, number, name, index)
    assert list(connected_cameras(tmp_path).items()) == [(0, "USB cam"), (10, "Second: cam")]


def test_a_device_without_a_name_is_listed_by_its_node_and_other_nodes_are_not(tmp_path):
    (tmp_path / "video3").mkdir()
    (tmp_path / "vbi0").mkdir()
    assert connected_cameras(tmp_path) == {3: "video3"}


def test_without_video4linux_there_is_none(tmp_path):
    assert connected_cameras(tmp_path / "absent") == {}

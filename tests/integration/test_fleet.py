"""One gallery on several devices, with a real PostgreSQL between them."""

from __future__ import annotations

import time

import numpy as np
import pytest

import edgefs
from runtime.gallery import NewShot, open_gallery

pytestmark = pytest.mark.fleet
DIM = 8


def shot(seed: int, crop: bytes | None = b"jpeg") -> NewShot:
    row = np.random.default_rng(seed).standard_normal(DIM).astype(np.float32)
    return NewShot(row / np.linalg.norm(row), crop and crop + bytes([seed % 256]), "burst", 1.0, "test", 1e9)


@pytest.fixture
def device(site, tmp_path):
    opened = []

    def open_device(name: str, **options):
        url = f"{site}?device={name}&copy={tmp_path / name}.db"
        gallery = open_gallery(url, fingerprint=options.pop("fingerprint", "f" * 64), dim=DIM, **options)
        opened.append(gallery)
        return gallery

    yield open_device
    for gallery in opened:
        gallery.close()


def until(condition, timeout_s: float = 5.0) -> float:
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < timeout_s, "it did not happen in time"
        time.sleep(0.01)
    return time.monotonic() - start


def test_what_one_device_is_taught_another_one_names(site, tmp_path, tiny_bundle, tiny):
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 255, (64, 64, 3), np.uint8)
    with (
        edgefs.Recognizer(tiny_bundle, gallery=f"{site}?device=a&copy={tmp_path}/a.db") as a,
        edgefs.Recognizer(tiny_bundle, gallery=f"{site}?device=b&copy={tmp_path}/b.db") as b,
    ):
        assert a.enroll("mug", [frame]).accepted
        until(lambda: b.recognize(frame).label == "mug")


def test_everything_reaches_the_other_device(device):
    a, b = device("a"), device("b")
    ids = a.add("mug", [shot(1), shot(2)])
    a.add("cup", [shot(3)])
    until(lambda: list(b.classes) == ["mug", "cup"])
    assert np.array_equal(a.classes["mug"].embeddings, b.classes["mug"].embeddings)
    until(lambda: b.status().crops_to_come == 0)
    assert b.crop(int(b.classes["mug"].ids[0])) == a.crop(ids[0])
    b.rename("mug", "beaker")
    until(lambda: list(a.classes) == ["beaker", "cup"])
    a.merge("cup", "beaker")
    until(lambda: list(b.classes) == ["beaker"] and len(b.classes["beaker"].ids) == 3)
    assert a.undo() == "merged 'cup' (1 shot) into 'beaker'"
    until(lambda: list(b.classes) == ["beaker", "cup"])
    a.forget("beaker")
    until(lambda: list(b.classes) == ["cup"])
    a.undo()
    until(lambda: len(b.classes.get("beaker").ids if "beaker" in b.classes else ()) == 2)

"""Devices of a site, in one process, and what they are taught."""

from __future__ import annotations

import time

import numpy as np
import pytest

from runtime.gallery import NewShot


@pytest.fixture
def shot():
    """Make a shot of dimension 8 from a seed."""

    def make(seed: int, crop: bytes | None = b"jpeg") -> NewShot:
        row = np.random.default_rng(seed).standard_normal(8).astype(np.float32)
        return NewShot(row / np.linalg.norm(row), crop and crop + bytes([seed % 256]), "burst", 1.0, "test", 1e9)

    return make


@pytest.fixture
def until():
    """Wait until a condition holds, or fail."""

    def wait(condition, timeout_s: float = 8.0) -> None:
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, "it did not happen in time"
            time.sleep(0.01)

    return wait


@pytest.fixture
def device(site, tmp_path):
    """Open the gallery of a device by its name; all are closed at the end."""
    from runtime.fleet.opening import open_fleet

    opened = []

    def open_device(name: str, url: str = site, **options):
        where = f"{url}?device={name}&copy={tmp_path / name}/gallery.db"
        gallery = open_fleet(where, **{"fingerprint": "f" * 64, "dim": 8, **options})
        opened.append(gallery)
        return gallery

    yield open_device
    for gallery in opened:
        gallery.close()

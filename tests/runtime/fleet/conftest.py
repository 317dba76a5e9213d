"""Devices of a site, in one process."""

from __future__ import annotations

import pytest


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

"""The state as a message; most of it is tested through the API."""

from __future__ import annotations

import numpy as np

from runtime.app.core.state import site_of
from runtime.fleet.opening import open_fleet
from runtime.gallery import NewShot, open_gallery


def test_a_gallery_that_no_other_device_shares_has_no_site(tmp_path):
    with open_gallery(tmp_path / "gallery.db", fingerprint="f", dim=2) as gallery:
        assert site_of(gallery) is None


def test_the_site_of_a_device_that_was_never_connected_is_away_and_named_without_its_password(tmp_path):
    url = f"postgresql://till:secret@db/shop?copy={tmp_path}/site.db"
    with open_fleet(url, fingerprint="f", dim=2, connect=False) as gallery:
        gallery.add("mug", [NewShot(np.float32([1, 0]), None, "burst", 1.0, "test", 0.0)])
        site = site_of(gallery)
        assert site.address == "postgresql://till@db/shop"
        assert (site.connected, site.problem, site.role) == (False, None, None)
        assert (site.unsent, site.crops_to_come, site.conflicts) == (1, 0, 0)

"""The live app of a device that shares its gallery, with a real PostgreSQL: a conflict, and a database that stops."""

from __future__ import annotations

import cv2
import pytest

from runtime.fleet.opening import open_fleet

pytestmark = pytest.mark.fleet
CONFLICTS = "/api/v1/site/conflicts"


@pytest.fixture
def till(site, start, tmp_path):
    """The app of the device `till`."""
    with start(tmp_path / "till", gallery=f"{site}?device=till&copy={tmp_path}/till/gallery.db") as live:
        yield live


def teach(live, tiny, label: str, seed: int) -> None:
    files = [("pictures", cv2.imencode(".png", view)[1].tobytes()) for view in tiny.views(seed, 6)]
    response = live.http.post("/api/v1/classes/shots", params={"label": label}, files=files)
    assert response.json()["accepted"]


def labels(live) -> list[str]:
    return [each["label"] for each in live.http.get("/api/v1/classes").json()]


def site_of(live):
    return live.http.get("/api/v1/state").json()["gallery"]["site"]


def test_a_rename_that_met_a_forget_is_listed_and_taking_the_forget_back_lets_it_take_effect(
    site, till, tiny, tiny_bundle, tmp_path
):
    def camera(*, connect: bool = True):
        url = f"{site}?device=camera&copy={tmp_path}/camera/gallery.db"
        return open_fleet(url, fingerprint=tiny_bundle.fingerprint, dim=tiny_bundle.dim, connect=connect)

    teach(till, tiny, "mug", 20)
    with camera() as gallery:
        till.wait(lambda: list(gallery.classes) == ["mug"])
    with camera(connect=False) as gallery:  # away
        gallery.rename("mug", "cup")
    assert till.http.delete("/api/v1/classes", params={"label": "mug"}).status_code == 200
    assert till.http.get(CONFLICTS).json() == []
    till.wait(lambda: site_of(till)["unsent"] == 0)
    with camera() as gallery:
        (conflict,) = till.wait(lambda: till.http.get(CONFLICTS).json())
        assert conflict["text"] == "'mug' was forgotten at one place and could not be changed any more at another"
        assert [side["device"] for side in conflict["changes"]] == ["camera", "till"]
        assert [side["what"].split(" (")[0] for side in conflict["changes"]] == [
            "renamed 'mug' to 'cup'",
            "forgot 'mug'",
        ]
        assert (site_of(till)["conflicts"], labels(till)) == (1, [])
        forget = {name: conflict["changes"][1][name] for name in ("origin", "n")}
        assert till.http.post(f"{CONFLICTS}/take-back", json=forget).json()["what"].startswith("undone: forgot 'mug'")
        till.wait(lambda: labels(till) == list(gallery.classes) == ["cup"])
        assert (till.http.get(CONFLICTS).json(), site_of(till)["conflicts"], gallery.conflicts()) == ([], 0, [])


def test_while_the_database_is_away_the_app_says_so_goes_on_and_sends_later(till, tiny, postgres):
    teach(till, tiny, "mug", 20)
    till.wait(lambda: site_of(till)["unsent"] == 0)
    stands = site_of(till)
    assert (stands["connected"], stands["problem"], stands["role"]) == (True, None, "teacher")
    assert stands["address"].startswith(f"postgresql://admin@127.0.0.1:{postgres.port}/site")
    postgres.kill()
    try:
        till.wait(lambda: not site_of(till)["connected"], timeout_s=5)
        assert site_of(till)["problem"].startswith("The site's database must answer")
        assert till.http.get("/healthz").json() == {"status": "ok", "gallery": "ok", "site": "away"}
        teach(till, tiny, "cap", 21)
        assert (labels(till), site_of(till)["unsent"]) == (["mug", "cap"], 1)
        assert "edgefs_site_unsent_changes 1.0" in till.http.get("/api/v1/metrics").text
        assert till.http.get("/api/v1/cameras").json()[0]["state"] == "live"
    finally:
        postgres.start()
    till.wait(lambda: site_of(till)["connected"] and site_of(till)["unsent"] == 0, timeout_s=20)
    assert site_of(till)["problem"] is None
    assert till.http.get("/healthz").json()["site"] == "connected"

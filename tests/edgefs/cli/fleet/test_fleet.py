"""`edgefs fleet` prepares a site, and every command opens its gallery."""

import json

import numpy as np
import pytest

from edgefs.cli import main
from runtime.fleet.opening import open_fleet
from runtime.gallery import NewShot

pytestmark = pytest.mark.fleet
SHOT = NewShot(np.ones(2, np.float32), None, "burst", 1.0, "test", 1e9)


def result(capsys, *words: str) -> dict:
    assert main([*words, "--json", "-"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_site_is_prepared_and_described(postgres, tmp_path, capsys):
    url = postgres.database()
    assert main(["fleet", "status", url]) == 1
    assert "edgefs fleet init" in capsys.readouterr().err
    made = result(capsys, "fleet", "init", url, "--device", "camera1", "--teacher", "till")
    assert (made["devices"], made["teachers"]) == (["camera1"], ["till"])
    with open_fleet(f"{url}?device=a&copy={tmp_path}/a.db", fingerprint="f" * 64, dim=2) as gallery:
        gallery.add("mug", [SHOT])
        assert gallery.sync.wait(5.0)
    status = result(capsys, "fleet", "status", url)
    assert (status["classes"], status["shots"], status["events"], status["role"]) == (1, 1, 1, "teacher")
    assert status["origins"][0]["origin"].startswith("a/")


def test_one_side_of_a_conflict_is_taken_back(site, tmp_path, capsys):
    def opened(name: str, connect: bool = True):
        return open_fleet(
            f"{site}?device={name}&copy={tmp_path}/{name}.db", fingerprint="f" * 64, dim=2, connect=connect
        )

    with opened("a") as a:
        a.add("mug", [SHOT])
        assert a.sync.wait(5.0)
    opened("b").close()
    with opened("a", connect=False) as a:
        a.rename("mug", "cup")
    with opened("b") as b:
        b.forget("mug")
        assert b.sync.wait(5.0)
    opened("a").close()
    (conflict,) = result(capsys, "fleet", "conflicts", site)["conflicts"]
    origin, n = conflict["other"]
    assert result(capsys, "fleet", "take-back", site, origin, str(n))["what"] == "forgot 'mug' (1 shot)"
    assert result(capsys, "fleet", "conflicts", site) == {"conflicts": []}
    with opened("b") as b:
        assert list(b.classes) == ["cup"]
    assert main(["fleet", "take-back", site, origin, str(n)]) == 1


def test_the_other_commands_open_the_gallery_of_a_site(site, tmp_path, capsys):
    where = f"{site}?device=a&copy={tmp_path}/a.db"
    with open_fleet(where, fingerprint="f" * 64, dim=2) as gallery:
        gallery.add("mug", [SHOT])
        assert gallery.sync.wait(5.0)
    assert [one["label"] for one in result(capsys, "gallery", "ls", "--gallery", where)["classes"]] == ["mug"]
    assert main(["gallery", "rename", "mug", "cup", "--gallery", where]) == 0
    with open_fleet(f"{site}?device=b&copy={tmp_path}/b.db", fingerprint="f" * 64, dim=2) as gallery:
        assert list(gallery.classes) == ["cup"]

"""`edgefs rollout` publishes for devices and shows what they report."""

import json

import pytest

pytest.importorskip("cryptography")

from runtime.signing import make_keys


@pytest.fixture
def key(tmp_path):
    make_keys(tmp_path / "maker.key")
    return tmp_path / "maker.key"


def test_a_bundle_is_published_for_a_share_and_the_reports_are_shown(run, tiny_bundle_dir, tiny_bundle, key, tmp_path):
    to = tmp_path / "published"
    status, index, err = run("rollout", "publish", tiny_bundle_dir, "--to", to, "--key", key, "--share", "10%")
    assert (status, index["share"], index["release"]["fingerprint"]) == (0, 0.1, tiny_bundle.fingerprint)
    assert f"{tiny_bundle.name} is published in {to} for 10% of the devices" in err
    (to / "reports").mkdir()
    said = "runs, and is watched\x1b[2J"
    (to / "reports/shop-1.json").write_text(json.dumps({"device": "shop-1", "bundle": tiny_bundle.name, "said": said}))
    status, found, err = run("rollout", "status", to)
    assert (status, found["index"], [report["device"] for report in found["devices"]]) == (0, index, ["shop-1"])
    assert "'shop-1'" in err
    assert "\x1b" not in err  # a report is written by others


def test_an_empty_folder_and_a_wrong_key_are_explained(run, tiny_bundle_dir, tmp_path):
    status, found, err = run("rollout", "status", tmp_path)
    assert (status, found) == (0, {"index": None, "devices": []})
    assert "nothing is published" in err
    status, _, err = run("rollout", "publish", tiny_bundle_dir, "--to", tmp_path, "--key", tmp_path / "absent")
    assert status == 1
    assert "edgefs bundle make-key" in err


@pytest.mark.fleet
def test_a_bundle_is_published_in_a_database_and_no_password_is_shown(run, site, tiny_bundle_dir, key):
    where = site.replace("admin@", "admin:secret@")
    status, found, err = run("rollout", "status", where)
    assert (status, found) == (0, {"index": None, "devices": []})
    assert f"nothing is published in {site}" in err
    said = err
    status, index, err = run("rollout", "publish", tiny_bundle_dir, "--to", where, "--key", key, "--share", "10%")
    assert (status, index["share"]) == (0, 0.1)
    assert f"is published in {site} for 10% of the devices" in err
    said += err
    status, found, err = run("rollout", "status", where)
    assert (status, found["index"]) == (0, index)
    status, _, away = run("rollout", "status", "postgresql://till:secret@127.0.0.1:9/shop")
    assert status == 1
    assert "must answer" in away
    assert "secret" not in said + err + away

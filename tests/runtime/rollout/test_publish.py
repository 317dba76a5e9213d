"""Publishing: signed, in one piece, and with what the other devices run."""

import json

import pytest

from runtime.bundle import Bundle
from runtime.errors import OptionError
from runtime.rollout import publish, reports
from runtime.rollout.folder import Folder
from runtime.rollout.index import read_index
from runtime.rollout.publish import published


def test_what_is_published_is_signed_and_whole(tiny_bundle, key, trusted, folder, tmp_path):
    index = publish(tiny_bundle, folder, key, 0.1)
    assert read_index((tmp_path / "published/rollout.json").read_bytes(), "here", trusted) == index
    bundle = Bundle.load(tmp_path / "published" / index.release.file, trusted_keys=trusted)
    assert bundle.fingerprint == index.release.fingerprint == tiny_bundle.fingerprint
    assert (index.share, index.previous) == (0.1, None)


def test_the_other_devices_run_what_was_published_for_all_before(tiny, tiny_bundle, new_bundle, key, folder):
    first = publish(tiny_bundle, folder, key, 1)
    second = publish(new_bundle, folder, key, 0.1)
    wider = publish(new_bundle, folder, key, 0.5)
    third = publish(tiny.bundle(seed=2), folder, key, 0.1)
    assert [index.previous for index in (second, wider, third)] == [first.release] * 3
    assert wider.release == second.release  # the same bundle gives the same file
    everyone = publish(tiny.bundle(seed=2), folder, key, 1)
    back = publish(tiny_bundle, folder, key, 1)
    assert (back.release, back.previous) == (first.release, everyone.release)
    serials = [index.serial for index in (first, second, wider, third, everyone, back)]
    assert serials == sorted(set(serials))


def test_a_lost_or_damaged_index_is_followed_by_a_higher_number(tiny_bundle, key, folder, tmp_path):
    before = publish(tiny_bundle, folder, key, 1)
    (tmp_path / "published/rollout.json").write_bytes(b"{")
    assert published(Folder(folder)) is None
    after = publish(tiny_bundle, folder, key, 1)
    assert after.serial >= before.serial
    assert after.previous is None


def test_a_share_outside_its_range_is_refused(tiny_bundle, key, folder):
    with pytest.raises(OptionError, match=r"share must be in 0\.\.1"):
        publish(tiny_bundle, folder, key, 10)


def test_reports_that_cannot_be_read_are_left_out(tmp_path):
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports/a.json").write_text(json.dumps({"device": "a"}))
    (tmp_path / "reports/b.json").write_text("{")
    (tmp_path / "reports/c.json").write_text("[" * 100_000)
    (tmp_path / "reports/d.json").write_text("[]")
    assert reports(Folder(str(tmp_path))) == [{"device": "a"}]

"""A device follows: it switches only to what is signed, whole and right, watches it, and goes back."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from runtime.bundle import Bundle
from runtime.errors import OptionError
from runtime.gallery import peek
from runtime.rollout import follower as module
from runtime.rollout import publish, reports
from runtime.rollout.folder import Folder
from runtime.rollout.follower import Follower


def answers(follower, unknown, of=400):
    for i in range(of):
        follower.shares.count(unknown=i < unknown)


def recognises(recognizer, tiny):
    return [recognizer.recognize(tiny.views(seed, 1, start=9)[0]).label for seed in range(3)]


THINGS = ["thing 0", "thing 1", "thing 2"]


def test_a_published_bundle_is_fetched_checked_and_switched_to(device, tiny, new_bundle, key, folder):
    publish(new_bundle, folder, key, 1)
    follower, recognizer = device()
    switched = []
    follower._switched = lambda: switched.append(recognizer.bundle.fingerprint)
    follower.step(recognizer)
    assert switched == [new_bundle.fingerprint]
    assert recognises(recognizer, tiny) == THINGS
    assert follower.state.watched
    (report,) = reports(Folder(folder))
    assert (report["device"], report["bundle"], report["watched"]) == ("device 1", new_bundle.name, True)
    follower.step(recognizer)  # there is nothing new
    assert len(switched) == 1


def test_a_device_that_is_not_among_the_first_keeps_its_bundle(device, tiny_bundle, new_bundle, key, folder):
    publish(new_bundle, folder, key, 0)
    follower, recognizer = device()
    follower.step(recognizer)
    assert recognizer.bundle is tiny_bundle
    publish(new_bundle, folder, key, 1)
    follower.step(recognizer)
    assert recognizer.bundle.fingerprint == new_bundle.fingerprint


def forge(bundle, folder, index_key, bundle_key, monkeypatch):
    """Publish a bundle whose index and whose manifest are signed by different keys, or by none."""
    if bundle_key is None:
        monkeypatch.setattr(Bundle, "signed", lambda bundle, _: bundle)
    else:
        real = Bundle.signed
        monkeypatch.setattr(Bundle, "signed", lambda bundle, _: real(bundle, bundle_key))
    publish(bundle, folder, index_key, 1)
    monkeypatch.undo()


@pytest.mark.parametrize("case", ["index by another key", "bundle by another key", "bundle unsigned", "index unsigned"])
def test_a_device_keeps_its_bundle_if_a_signature_is_missing_or_wrong_and_says_why(
    device, tiny, tiny_bundle, new_bundle, key, other_key, folder, monkeypatch, caplog, case
):
    forge(
        new_bundle,
        folder,
        other_key if case == "index by another key" else key,
        {"bundle by another key": other_key, "bundle unsigned": None}.get(case, key),
        monkeypatch,
    )
    if case == "index unsigned":
        path = Path(folder, "rollout.json")
        path.write_bytes(path.read_bytes().splitlines()[0])
    follower, recognizer = device()
    for _ in range(3):
        follower.step(recognizer)
    assert recognizer.bundle is tiny_bundle
    assert recognises(recognizer, tiny) == THINGS
    why = "has no signature" if "unsigned" in case else "another key has signed it"
    assert f"{tiny_bundle.name} is kept: " in follower.state.said
    assert why in follower.state.said
    assert [why in record.getMessage() for record in caplog.records] == [True]  # once, not every minute
    (report,) = reports(Folder(folder))
    assert why in report["said"]


def test_an_older_index_is_refused(device, tiny_bundle, new_bundle, key, folder):
    publish(tiny_bundle, folder, key, 0)
    path = Path(folder, "rollout.json")
    old = path.read_bytes()
    publish(new_bundle, folder, key, 1)
    follower, recognizer = device()
    follower.step(recognizer)
    path.write_bytes(old)
    follower.step(recognizer)
    assert "must not be older than" in follower.state.said
    assert recognizer.bundle.fingerprint == new_bundle.fingerprint


def test_a_bundle_that_does_not_reproduce_its_golden_frames_is_refused_for_good(
    device, tiny, tiny_bundle, key, folder, caplog
):
    frames, embeddings = tiny.bundle(seed=1).golden()
    wrong = Bundle.build(
        name="wrong",
        description="",
        preprocess=tiny_bundle.preprocess,
        metric="cosine",
        model=tiny.bundle(seed=1).read("model.onnx"),
        golden_frames=frames,
        golden_embeddings=np.roll(embeddings, 1, axis=0),
    )
    index = publish(wrong, folder, key, 1)
    follower, recognizer = device()
    for _ in range(5):
        follower.step(recognizer)
    assert recognizer.bundle is tiny_bundle
    assert "golden frames" in follower.state.refused[index.release.sha256]
    assert follower.state.attempts[index.release.sha256] == 1
    assert caplog.text.count("golden frames") == 1


def test_a_damaged_file_is_not_opened_and_fetched_again(device, tiny_bundle, new_bundle, key, folder):
    index = publish(new_bundle, folder, key, 1)
    zipped = Path(folder, index.release.file)
    sound = zipped.read_bytes()
    zipped.write_bytes(sound[:-1000] + bytes(1000))
    follower, recognizer = device()
    follower.step(recognizer)
    assert recognizer.bundle is tiny_bundle
    assert "match its sha256" in follower.state.said
    zipped.write_bytes(sound)
    follower.step(recognizer)
    assert recognizer.bundle.fingerprint == new_bundle.fingerprint


def test_a_folder_that_is_away_is_said_once_and_changes_nothing(device, tiny_bundle, folder, caplog):
    follower, recognizer = device(where="http://127.0.0.1:9/rollout")
    follower.step(recognizer)
    follower.step(recognizer)
    assert recognizer.bundle is tiny_bundle
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_a_bundle_is_taken_back_when_the_share_of_unknown_doubles(
    device, tiny, tiny_bundle, new_bundle, key, folder, caplog
):
    follower, recognizer = device()
    before = recognizer.gallery.stored_embeddings()
    answers(follower, unknown=40)  # 10 %
    index = publish(new_bundle, folder, key, 1)
    follower.step(recognizer)
    answers(follower, unknown=79)
    follower.step(recognizer)
    assert recognizer.bundle.fingerprint == new_bundle.fingerprint
    answers(follower, unknown=100)
    follower.step(recognizer)
    assert recognizer.bundle is tiny_bundle
    for id_, row in recognizer.gallery.stored_embeddings().items():
        np.testing.assert_array_equal(row, before[id_])  # exactly what was there
    assert recognises(recognizer, tiny) == THINGS
    assert "22% of the answers are unknown, and before it were 10%" in caplog.text
    assert index.release.sha256 in follower.state.refused
    follower.step(recognizer)  # and it is not tried again
    assert recognizer.bundle is tiny_bundle
    (report,) = reports(Folder(folder))
    assert index.release.sha256 in report["refused"]


def test_few_answers_take_nothing_back(device, new_bundle, key, folder):
    follower, recognizer = device()
    answers(follower, unknown=40)
    publish(new_bundle, folder, key, 1)
    follower.step(recognizer)
    answers(follower, unknown=199, of=199)
    follower.step(recognizer)
    assert recognizer.bundle.fingerprint == new_bundle.fingerprint


def test_a_bundle_is_kept_after_an_hour_and_can_then_be_the_one_to_go_back_to(
    device, tiny, tiny_bundle, new_bundle, key, folder, clock
):
    follower, recognizer = device()
    publish(new_bundle, folder, key, 1)
    follower.step(recognizer)
    clock.now_s = 3601
    follower.step(recognizer)
    assert not follower.state.watched
    assert "is kept after an hour" in follower.state.said
    answers(follower, unknown=400)
    follower.step(recognizer)  # nothing is watched any more
    assert recognizer.bundle.fingerprint == new_bundle.fingerprint
    clock.now_s += 9000
    answers(follower, unknown=0)
    publish(tiny.bundle(seed=5), folder, key, 1)
    follower.step(recognizer)
    answers(follower, unknown=400)
    follower.step(recognizer)
    assert recognizer.bundle.fingerprint == new_bundle.fingerprint


def test_an_engine_that_no_longer_reproduces_the_golden_frames_is_taken_back(
    device, tiny_bundle, new_bundle, key, folder, monkeypatch, caplog
):
    follower, recognizer = device()
    publish(new_bundle, folder, key, 1)
    follower.step(recognizer)
    real = type(recognizer.engine).embed
    monkeypatch.setattr(type(recognizer.engine), "embed", lambda self, frames: np.roll(real(self, frames), 1, axis=1))
    monkeypatch.setattr(module, "check", lambda *_, **__: None)
    original = recognizer.swap

    def swap(*arguments, **options):
        monkeypatch.undo()
        return original(*arguments, **options)

    monkeypatch.setattr(recognizer, "swap", swap)
    follower.step(recognizer)
    assert recognizer.bundle is tiny_bundle
    assert "golden frames agree by" in caplog.text


# -- restarts


def test_after_a_restart_the_device_runs_what_it_switched_to(device, tiny, new_bundle, key, folder, tmp_path):
    publish(new_bundle, folder, key, 1)
    follower, recognizer = device()
    follower.step(recognizer)
    recognizer.close()
    again, reopened = device()
    assert reopened.bundle.fingerprint == new_bundle.fingerprint
    assert recognises(reopened, tiny) == THINGS
    assert (again.state.watched, again.state.starts) == (True, 1)


def test_a_bundle_with_which_the_app_ends_again_and_again_is_taken_back(
    device, tiny, tiny_bundle, new_bundle, key, folder, tmp_path
):
    publish(new_bundle, folder, key, 1)
    follower, recognizer = device()
    follower.step(recognizer)
    recognizer.close()
    for expected in (new_bundle, new_bundle, new_bundle, tiny_bundle):
        again, reopened = device()
        assert reopened.bundle.fingerprint == expected.fingerprint
        assert recognises(reopened, tiny) == THINGS
        reopened.close()
    assert "the app ended 3 times" in again.state.said
    assert peek(tmp_path / "shop.db").fingerprint == tiny_bundle.fingerprint


def test_a_switch_that_ends_the_app_is_not_begun_for_ever(device, tiny_bundle, new_bundle, key, folder, monkeypatch):
    publish(new_bundle, folder, key, 1)

    def killed(*_, **__):
        raise KeyboardInterrupt  # as if the process had ended here

    monkeypatch.setattr(module, "check", killed)
    for _ in range(3):
        follower, recognizer = device()
        with pytest.raises(KeyboardInterrupt):
            follower.step(recognizer)
        recognizer.close()
    follower, recognizer = device()
    follower.step(recognizer)
    assert recognizer.bundle is tiny_bundle
    assert "was begun 3 times, and never finished" in follower.state.said


def test_a_switch_that_ended_before_it_was_remembered_is_made_again(device, tiny, new_bundle, key, folder):
    publish(new_bundle, folder, key, 1)
    follower, recognizer = device()
    follower._save = lambda: None  # the power fails after the gallery was written
    follower.step(recognizer)
    recognizer.close()
    again, reopened = device()
    assert recognises(reopened, tiny) == THINGS
    again.step(reopened)
    assert reopened.bundle.fingerprint == new_bundle.fingerprint
    assert recognises(reopened, tiny) == THINGS


def test_a_damaged_fetched_bundle_is_fetched_again(device, tiny_bundle, new_bundle, key, folder, tmp_path):
    index = publish(new_bundle, folder, key, 1)
    follower, recognizer = device()
    follower.step(recognizer)
    recognizer.close()
    zipped = tmp_path / "home" / f"{index.release.sha256}.edgefs.zip"
    zipped.write_bytes(zipped.read_bytes()[:-50])
    again, reopened = device()
    assert reopened.bundle is tiny_bundle
    again.step(reopened)
    assert reopened.bundle.fingerprint == new_bundle.fingerprint


def test_a_bundle_whose_key_is_trusted_no_longer_is_not_opened(
    device, tiny_bundle, new_bundle, key, other_key, folder, trusted, tmp_path
):
    publish(new_bundle, folder, key, 1)
    follower, recognizer = device()
    follower.step(recognizer)
    recognizer.close()
    (trusted / "maker.pub").unlink()
    (tmp_path / "other.key.pub").rename(trusted / "other.pub")
    again, reopened = device()
    assert reopened.bundle is tiny_bundle
    assert "another key has signed it" in again.state.said


def test_a_state_that_cannot_be_read_is_forgotten(device, tiny_bundle, tmp_path):
    (tmp_path / "home").mkdir()
    for text in ("", "[]", '{"serial": 1, "current": {"sha256": 5}}', json.dumps({"another": 1})):
        (tmp_path / "home/state.json").write_text(text)
        follower, recognizer = device()
        assert recognizer.bundle is tiny_bundle
        assert follower.state.serial == 0
        recognizer.close()


def test_without_trusted_keys_nothing_is_followed(tiny_bundle, folder, tmp_path):
    with pytest.raises(OptionError, match="--trusted-keys"):
        Follower(folder, tmp_path, tiny_bundle, "device", None)


def test_old_bundles_are_deleted_when_a_new_one_is_kept(device, tiny, key, folder, clock, tmp_path):
    follower, recognizer = device()
    for seed in (1, 2, 3):
        publish(tiny.bundle(seed=seed), folder, key, 1)
        follower.step(recognizer)
        clock.now_s += 4000
        follower.step(recognizer)
    state = follower.state
    assert {path.name for path in (tmp_path / "home").glob("*.zip")} == {
        f"{release.sha256}.edgefs.zip" for release in (state.current, state.before)
    }

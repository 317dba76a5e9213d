"""The copy of a device is what the events say, after any crash, and without any network."""

import re
from dataclasses import replace

import numpy as np
import pytest

from runtime.errors import GalleryCorrupt, GalleryUnwritable, InvalidShot, OptionError
from runtime.fleet import arranging
from runtime.fleet.deleting import Deleter
from runtime.fleet.events import Event, EventKey, ShotKey
from runtime.fleet.journal import Journal
from runtime.fleet.replica import Replica
from runtime.gallery import NewShot, open_gallery

DIM = 4


def shot(seed: int, crop: bytes | None = b"jpeg") -> NewShot:
    return NewShot(np.random.default_rng(seed).standard_normal(DIM).astype(np.float32), crop, "burst", 1.0, "test", 0.0)


@pytest.fixture
def opened(tmp_path):
    open_ones = []

    def open_again(device: str = "a", wall=lambda: 1e9) -> Replica:
        while open_ones:
            open_ones.pop().close()
        journal = Journal(tmp_path / "site.db-events")
        copy = open_gallery(tmp_path / "site.db", fingerprint="f", dim=DIM)
        try:
            open_ones.append(Replica(copy, journal, device, wall))
        except BaseException:
            copy.close()
            journal.close()
            raise
        return open_ones[-1]

    yield open_again
    for replica in open_ones:
        replica.close()


def teach(replica: Replica, label: str, *shots: NewShot) -> Event:
    return replica.make("teach", {"shots": [[label, False, len(shots)]]}, "taught", shots)


def sizes(replica: Replica) -> dict[str, int]:
    return {label: len(shots.ids) for label, shots in replica.classes.items()}


def others(*events: tuple[str, dict], seq: int = 1) -> list[Event]:
    return [
        Event(EventKey("b/1", i), kind, body, seq + i - 2, kind, 0.0, seq + i - 1)
        for i, (kind, body) in enumerate(events, 1)
    ]


def test_a_change_is_there_after_a_crash_right_behind_it(opened, monkeypatch):
    replica = opened()
    teach(replica, "mug", shot(1), shot(2))
    with monkeypatch.context() as crash:
        crash.setattr(Replica, "settle", lambda _: None)  # the process ends before the shots come to their places
        teach(replica, "cup", shot(3))
    replica = opened()
    assert sizes(replica) == {"mug": 2, "cup": 1}
    assert [event.key.n for event, _ in replica.unsent(9)] == [1, 2]


def test_shots_without_an_event_are_deleted(opened):
    replica = opened()
    teach(replica, "mug", shot(1))
    replica.copy.change(arranging.store, [shot(2)])  # the process ends before the event is written
    replica = opened()
    assert len(replica.copy.stored_ids()) == 1


def test_a_change_that_the_journal_or_the_gallery_refuses_is_not_made(opened, monkeypatch):
    replica = opened()
    teach(replica, "mug", shot(1))

    def full(*_: object, **__: object) -> None:
        raise GalleryUnwritable("the disk is full")

    for broken, name in ((replica.journal, "append"), (arranging, "arrange")):
        with monkeypatch.context() as patched:
            patched.setattr(broken, name, full)
            with pytest.raises(GalleryUnwritable):
                teach(replica, "cup", shot(2))
    with pytest.raises(InvalidShot):
        teach(replica, "cup", replace(shot(2), quality=7.0))
    assert (sizes(replica), len(replica.timeline.unsent)) == ({"mug": 1}, 1)
    teach(replica, "cup", shot(2))
    assert sizes(opened()) == {"mug": 1, "cup": 1}


def test_what_others_did_is_taken_in_and_shots_come_when_they_come(opened):
    replica = opened()
    events = others(
        ("teach", {"shots": [["mug", False, 2], ["mug", True, 1]]}), ("rename", {"label": "mug", "to": "cup"})
    )
    replica.confirm(events)
    assert sizes(replica) == {}
    keys = [ShotKey("b/1", 1, i) for i in range(3)]
    assert replica.missing() == keys
    replica.bring({key: shot(key.i, None) for key in keys})
    assert sizes(replica) == {"cup": 2}
    assert len(replica.classes["cup"].negatives) == 1
    replica = opened()
    assert (sizes(replica), replica.cursor, list(replica.without_crop)) == ({"cup": 2}, 2, keys)
    replica.bring_crops({keys[0]: b"a picture", keys[1]: None, keys[2]: None})
    assert replica.copy.crop(replica.ids[keys[0]]) == b"a picture"
    assert not replica.copy.check()
    assert not opened().without_crop


def test_classes_are_shown_in_the_order_of_the_site(opened):
    replica = opened()
    first = teach(replica, "mug", shot(1))
    teach(replica, "cup", shot(2))
    assert replica.classes is replica.copy.classes  # not copied at each change
    replica.confirm([*others(("teach", {"shots": [["jug", False, 1]]})), replace(first, seq=2)])
    replica.bring({ShotKey("b/1", 1, 0): shot(3)})
    assert list(replica.copy.classes) == ["mug", "cup", "jug"]
    assert list(replica.classes) == ["jug", "mug", "cup"]
    replica.make("rename", {"label": "mug", "to": "cap"}, "renamed")
    assert list(replica.classes) == ["jug", "cap", "cup"]
    assert all(one.label == label for label, one in replica.classes.items())


def test_own_changes_come_after_those_of_the_site(opened):
    replica = opened()
    first = teach(replica, "mug", shot(1))
    replica.make("rename", {"label": "mug", "to": "cup"}, "renamed")
    replica.confirm([*others(("teach", {"shots": [["cup", False, 1]]})), replace(first, seq=2)])
    assert sizes(replica) == {"mug": 1}
    assert [conflict.text for conflict in replica.state.conflicts] == [
        "'mug' could not be renamed to 'cup', which was taken"
    ]


def test_what_is_final_leaves_the_files(opened, tmp_path):
    replica = opened()
    secret = b"a secret picture" * 100
    taught = teach(replica, "me", shot(1, secret))
    forgot = replica.make("forget", {"label": "me"}, "forgot")
    assert any(secret in path.read_bytes() for path in tmp_path.iterdir())
    (final,) = Deleter(replica).purge(now=True)
    assert final.doomed == [ShotKey(*taught.key, 0)]
    assert final.target == forgot.key
    assert not any(secret[:200] in path.read_bytes() for path in tmp_path.iterdir())
    assert Deleter(replica).purge(now=True) == []
    assert opened().copy.stored_ids() == []


def test_the_maker_deletes_after_the_minutes_of_undo_and_the_others_later(opened):
    replica = opened()
    replica.role = "teacher"
    now = 0.0
    replica.ages.now = lambda: now
    replica.confirm(others(("teach", {"shots": [["mug", False, 1]]}), ("forget", {"label": "mug"})))
    teach(replica, "cup", shot(1))
    replica.make("forget", {"label": "cup"}, "forgot")
    now = 29 * 60.0
    assert Deleter(replica).purge() == []
    now = 31 * 60.0
    assert [event.target.origin for event in Deleter(replica).purge()] == [replica.origin]
    now = 60 * 60.0
    assert [event.target.origin for event in Deleter(replica).purge()] == ["b/1"]


def test_another_content_under_an_own_number_is_a_restored_copy(opened):
    replica = opened()
    event = teach(replica, "mug", shot(1))
    other = replace(event, body={"shots": [["cup", False, 1]]}, seq=1)
    with pytest.raises(GalleryCorrupt, match="restored from a backup"):
        replica.confirm([other])


def test_the_copy_of_another_device_is_refused(opened):
    opened("a")
    with pytest.raises(OptionError, match="it belongs to 'a'"):
        opened("b")
    opened("a")


def test_a_damaged_or_emptied_gallery_asks_for_its_shots_again(opened):
    replica = opened()
    replica.confirm(others(("teach", {"shots": [["mug", False, 2]]})))
    replica.bring({ShotKey("b/1", 1, i): shot(i, None) for i in range(2)})
    replica.copy.change(arranging.discard, [replica.ids[ShotKey("b/1", 1, 0)]])
    replica = opened()
    assert replica.missing() == [ShotKey("b/1", 1, 0)]


@pytest.mark.parametrize("seed", [3, 38, 98])  # without `runtime/erasing.py`, bytes stayed
def test_no_byte_of_a_deleted_shot_stays_whatever_came_before(opened, tmp_path, seed):
    """Shots of another device come, later their crops in another order, and some are deleted for good."""
    rng, replica, seq = np.random.default_rng(seed), opened(), 0
    crops: dict[ShotKey, bytes] = {}

    def came(kind: str, body: dict) -> Event:
        nonlocal seq
        seq += 1
        event = Event(EventKey("b/1", seq), kind, body, seq - 1, kind, 0.0, seq)
        replica.confirm([event])
        return event

    for _ in range(60):
        if rng.random() < 0.6:
            event = came("teach", {"shots": [[f"class {rng.integers(12)}", False, int(rng.integers(1, 5))]]})
            keys = [key for key, _, _ in event.taught()]
            replica.bring({key: shot(seq, None) for key in keys})
            crops |= {key: f"<{key.n}.{key.i}>".encode() * 60 for key in keys}
        elif keys := list(replica.ids):
            doomed = [keys[i] for i in rng.permutation(len(keys))[: rng.integers(1, 6)]]
            event = came("remove", {"shot": [*doomed[0]]})
            came("final", {"event": [*event.key], "shots": [[*key] for key in doomed]})
        waiting = list(replica.without_crop)
        replica.bring_crops(
            {waiting[i]: crops[waiting[i]] for i in rng.permutation(len(waiting))[: rng.integers(0, 5)]}
        )
    kept = {crop.partition(b">")[0] + b">" for id_ in replica.keys if (crop := replica.copy.crop(id_))}
    stored = b"".join((tmp_path / name).read_bytes() for name in ("site.db", "site.db-wal"))
    assert set(re.findall(rb"<\d+\.\d+>", stored)) == kept

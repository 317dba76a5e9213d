"""The file of the visits: its filters and bounds, and how it follows the classes."""

from __future__ import annotations

import time

import numpy as np
import pytest

from runtime.app.visits.store import Filter, VisitStore
from runtime.app.visits.tracker import OpenVisit, View

NOW = time.time()
CROP = b"picture of a person"


def visit(label="mug", begun_s=NOW - 60, camera="shop", certainty="sure", n_views=1) -> OpenVisit:
    views = [View(np.full(4, n, np.float32), CROP) for n in range(n_views)]
    return OpenVisit(camera, label, begun_s, begun_s + 5, certainty, label or "mug", 0.8, 50, views)


@pytest.fixture
def store(tmp_path):
    store = VisitStore(tmp_path / "visits.db")
    yield store
    store.close()


def labels(store, **wanted):
    return [one.label for one in store.visits(Filter(**wanted))]


def test_visits_are_listed_newest_first_and_filtered(store):
    store.write([visit("mug"), visit("cup", certainty="maybe"), visit(None, camera="yard", certainty="unknown")], "m")
    assert labels(store) == [None, "cup", "mug"]
    assert labels(store, label="mug") == ["mug"]
    assert labels(store, camera="shop") == ["cup", "mug"]
    assert labels(store, certainty="maybe") == ["cup"]
    assert labels(store, before=3) == ["cup", "mug"]
    assert len(store.visits(limit=2)) == 2


def test_a_visit_that_goes_on_stays_one(store):
    one = visit(n_views=1)
    store.write([one], "m")
    one.ended_s, one.frames = NOW, 99
    one.views.append(View(np.ones(4, np.float32), b"second"))
    store.write([one], "m")
    (found,) = store.visits()
    assert (found.id, found.ended_s, found.frames) == (1, NOW, 99)
    assert [view.crop for view in store.views(1)] == [CROP, b"second"]


def test_old_visits_and_those_beyond_the_bytes_are_removed(tmp_path):
    store = VisitStore(tmp_path / "v.db", days=1, max_bytes=2 * len(CROP))
    store.write([visit("old", begun_s=NOW - 2 * 86_400), visit("a"), visit("b"), visit("c")], "m")
    assert labels(store) == ["c", "b"]
    assert store.views(1) == store.views(2) == []
    store.close()


def test_a_forgotten_class_leaves_no_visit_and_no_byte_of_its_pictures(store, tmp_path):
    store.follow_classes({"mug": [1, 2], "cup": [3]})
    store.write([visit("mug"), visit("cup"), visit(None)], "m")
    store.review([3], "is", "mug", 9)
    store.remove([2])
    assert store.follow_classes({"cup": [3]}) == {"mug": None}
    assert store.visits() == []
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert CROP not in files
    assert b"mug" not in files


def test_renamed_and_merged_classes_take_their_visits_along_also_between_two_runs(store, tmp_path):
    store.follow_classes({"mug": [1, 2], "cup": [3]})
    store.write([visit("mug"), visit("cup")], "m")
    again = VisitStore(tmp_path / "visits.db")
    assert again.follow_classes({"glass": [1, 2, 3]}) == {"mug": "glass", "cup": "glass"}
    assert labels(again) == ["glass", "glass"]
    again.close()


def test_a_review_counts_only_while_its_change_is_not_undone(store):
    store.write([visit(None, certainty="unknown")], "m")
    store.review([1], "is", "cup", 7)
    assert (store.visits()[0].review, labels(store, label="cup"), labels(store, unreviewed=True)) == ("is", [None], [])
    store.follow_history(made=[6], undone=[7])
    assert (store.visits()[0].review, labels(store, label="cup"), labels(store, unreviewed=True)) == (None, [], [None])
    store.follow_history(made=[6, 7], undone=[])
    assert store.visits()[0].review == "is"


def test_visits_are_counted_by_hour_and_by_the_class_that_a_person_named(store):
    hour = NOW // 3600 * 3600
    store.write([visit("mug", hour + 1), visit("mug", hour + 2), visit(None, hour + 3), visit("cup", hour - 9)], "m")
    store.review([3], "is", "mug", 1)
    store.review([2], "not", "mug", 2)
    assert store.hours(hour - 3600) == [(hour - 3600, "cup", 1, 5.0), (hour, None, 1, 5.0), (hour, "mug", 2, 10.0)]

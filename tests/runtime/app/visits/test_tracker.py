"""Answers become visits."""

from __future__ import annotations

import numpy as np

from runtime.app.visits.tracker import GAP_S, MAX_VIEWS, MIN_S, UPDATE_S, Sight, Tracker, View


def view(side: int = 0) -> View:
    embedding = np.zeros(8, np.float32)
    embedding[side] = 1
    return View(embedding, b"jpeg")


def sight(label="mug", certainty="sure", stranger=None, seen=None, camera="shop", score=0.7) -> Sight:
    return Sight(camera, label, certainty, label or "mug", score, stranger, seen or view())


def ended(*timeline: tuple[float, Sight]):
    tracker = Tracker()
    for now_s, seen in timeline:
        tracker.update(seen, now_s)
    return tracker.due(timeline[-1][0], last=True)


def test_many_frames_are_one_visit_with_the_best_that_was_reached():
    (visit,) = ended((0, sight(certainty="maybe", score=0.5)), (1, sight(score=0.8)), (2, sight(certainty="maybe")))
    found = (visit.begun_s, visit.ended_s, visit.frames, visit.certainty, visit.score)
    assert found == (0, 2, 3, "sure", 0.8)


def test_a_short_gap_is_no_end_and_a_long_one_is():
    assert len(ended((0, sight()), (1, sight()), (1 + GAP_S, sight()), (5, sight()))) == 1
    assert len(ended((0, sight()), (1, sight()), (9, sight()), (10, sight()))) == 2


def test_a_glimpse_is_no_visit():
    assert ended((0, sight()), (MIN_S / 2, sight())) == []


def test_cameras_classes_and_strangers_are_told_apart():
    kinds = [sight(), sight(camera="yard"), sight("cup"), sight(None, "unknown", 1), sight(None, "unknown", 2)]
    visits = ended(*[(t, kind) for t in (0, 1) for kind in kinds])
    assert len(visits) == 5
    assert sum(visit.label is None for visit in visits) == 2


def test_only_different_views_are_kept_and_not_many():
    (visit,) = ended(*[(t, sight(seen=view(t % 3))) for t in range(3)], (3, sight(seen=view(0))))
    assert len(visit.views) == 3
    (visit,) = ended(*[(t, sight(seen=view(t))) for t in range(8)])
    assert len(visit.views) == MAX_VIEWS


def test_a_visit_that_goes_on_is_written_now_and_then():
    tracker, written = Tracker(), []
    for now_s in range(30):
        tracker.update(sight(), now_s)
        written += [now_s] * len(tracker.due(now_s))
    assert written == [1, 1 + UPDATE_S, 1 + 2 * UPDATE_S]


def test_open_visits_follow_their_class():
    tracker = Tracker()
    for seen in (sight(), sight("cup")):
        tracker.update(seen, 0)
        tracker.update(seen, 1)
    tracker.relabel("mug", "glass")
    tracker.relabel("cup", None)
    assert [visit.label for visit in tracker.due(1, last=True)] == ["glass"]

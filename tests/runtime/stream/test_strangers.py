"""Unknown frames are grouped into strangers; how a stranger is taught is tested with the recognizer."""

import numpy as np
import pytest

from runtime.errors import UnknownLabel
from runtime.recognition import Recognition
from runtime.stream.strangers import MAX_VIEWS, MIN_SEEN, Inbox


def answer(bundle, axis, label=None, noise=0.0, seed=0):
    """An answer whose embedding points along an axis."""
    embedding = np.eye(bundle.dim, dtype=np.float32)[axis] * 3
    embedding = embedding + noise * np.random.default_rng(seed).standard_normal(bundle.dim).astype(np.float32)
    if bundle.metric == "cosine":
        embedding /= np.linalg.norm(embedding)
    certainty = "sure" if label else "unknown"
    return Recognition(label, certainty, None, 0, 0, None, 0, "score", (), {}, embedding.astype(np.float32))


@pytest.fixture(params=["cosine", "euclidean"])
def bundle(request, tiny_bundle, euclidean_bundle):
    return tiny_bundle if request.param == "cosine" else euclidean_bundle


def test_similar_unknown_frames_are_one_stranger_and_different_ones_are_two(bundle):
    inbox = Inbox(bundle)
    ids = [inbox.add(answer(bundle, i % 2, noise=0.1, seed=i), None, float(i)) for i in range(8)]
    assert ids == [1, 2] * 4
    assert [(s.id, s.seen, s.first_s, s.last_s) for s in inbox.strangers()] == [(1, 4, 0, 6), (2, 4, 1, 7)]


def test_a_recognized_frame_is_no_stranger_and_a_rare_one_is_not_listed(bundle):
    inbox = Inbox(bundle)
    assert inbox.add(answer(bundle, 0, label="mug"), None, 0.0) is None
    for i in range(MIN_SEEN - 1):
        inbox.add(answer(bundle, 1), None, float(i))
    assert inbox.strangers() == []


def test_the_stranger_that_was_not_seen_for_longest_is_dropped_first(bundle):
    inbox = Inbox(bundle, capacity=2)
    first, second = (inbox.add(answer(bundle, axis), None, float(axis)) for axis in (0, 1))
    inbox.add(answer(bundle, 0), None, 2.0)
    inbox.add(answer(bundle, 2), None, 3.0)
    assert len(inbox.views(first)) == 1
    with pytest.raises(UnknownLabel, match=f"stranger {second} must be in the inbox"):
        inbox.views(second)


def test_a_clock_that_is_set_back_changes_nothing_but_the_times_shown(bundle):
    inbox, year_s = Inbox(bundle, capacity=2), 365 * 24 * 3600.0
    inbox.add(answer(bundle, 0), None, year_s)
    for i in range(MIN_SEEN):
        newest = inbox.add(answer(bundle, 1), None, float(i))
    inbox.add(answer(bundle, 2), None, 10.0)
    assert [stranger.id for stranger in inbox.strangers()] == [newest]


def test_only_different_views_are_kept_and_not_too_many(bundle):
    inbox = Inbox(bundle)
    for i in range(3 * MAX_VIEWS):
        inbox.add(answer(bundle, 0, noise=0.2, seed=i // 2), b"jpeg", float(i))
    assert len(inbox.views(1)) == MAX_VIEWS


def test_a_dismissed_stranger_gets_a_new_id_when_it_is_seen_again(bundle):
    inbox = Inbox(bundle)
    inbox.add(answer(bundle, 0), None, 0.0)
    inbox.dismiss(1)
    assert inbox.add(answer(bundle, 0), None, 1.0) == 2

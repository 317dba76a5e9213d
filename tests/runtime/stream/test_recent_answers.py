"""Recent answers are kept by id, and the oldest are dropped."""

import numpy as np

from runtime.recognition import Recognition
from runtime.stream.recent_answers import Ring, embeddings_of


def answer(value):
    return Recognition(None, "unknown", None, 0, 0, None, 0, "score", (), {}, np.full(3, value, np.float32))


def test_the_newest_answers_are_returned_oldest_first():
    ring = Ring(capacity=3)
    for i in range(5):
        assert ring.add(answer(i), b"jpeg", float(i)) == i + 1
    assert [kept.id for kept in ring.answers()] == [3, 4, 5]
    assert [kept.time_s for kept in ring.answers()] == [2, 3, 4]
    assert ring.get(2) is None


def test_embeddings_are_stacked_in_order_and_an_empty_list_gives_an_empty_array():
    ring = Ring()
    for i in range(2):
        ring.add(answer(i), None, 0.0)
    assert embeddings_of(ring.answers(), 3).tolist() == [[0, 0, 0], [1, 1, 1]]
    assert embeddings_of([], 3).shape == (0, 3)

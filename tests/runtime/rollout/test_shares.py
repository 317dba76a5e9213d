"""The share of unknown answers of the last hour, and when it has doubled."""

import pytest

from runtime.rollout.shares import MIN_ANSWERS, UnknownShare, doubled


def test_the_share_is_that_of_the_last_hour_and_needs_enough_answers(clock):
    shares = UnknownShare(clock)
    for i in range(MIN_ANSWERS - 1):
        shares.count(unknown=i % 4 == 0)
    assert shares.share() is None
    shares.count(unknown=False)
    assert shares.share() == pytest.approx(0.25)
    clock.now_s = 3000
    for _ in range(600):
        shares.count(unknown=True)
    assert shares.share() == pytest.approx(650 / 800)
    clock.now_s = 3700  # the first minute is over an hour ago
    assert shares.share() == 1
    clock.now_s = 9000
    assert shares.share() is None


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (0.2, 0.39, False),
        (0.2, 0.4, True),
        (0.6, 1.0, False),
        (0.0, 0.09, False),
        (0.0, 0.1, True),
        (None, 1.0, False),
        (0.1, None, False),
    ],
)
def test_a_share_has_doubled_only_if_both_are_known_and_more_than_chance(before, now, expected):
    assert doubled(before, now) is expected

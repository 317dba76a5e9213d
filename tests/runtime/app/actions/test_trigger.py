"""When a rule fires."""

from __future__ import annotations

import pytest

from runtime.app.actions.rules import Rule, Webhook
from runtime.app.actions.trigger import GAP_S, Seen, Trigger

DO = Webhook("http://127.0.0.1/")
MUG = Seen("0", "shop", "mug", "sure")


def fired(rule: Rule, *timeline: tuple[float, Seen]) -> list[float]:
    trigger = Trigger([rule])
    return [time_s for time_s, seen in timeline if trigger.update(seen, time_s)]


def test_a_rule_fires_once_for_each_time_that_the_thing_is_seen():
    timeline = [(t / 10, MUG) for t in range(20)] + [(10 + t / 10, MUG) for t in range(20)]
    assert fired(Rule("r", DO, label="mug"), *timeline) == [0.0, 10.0]


def test_the_dwell_time_must_pass_and_a_short_gap_does_not_start_it_again():
    rule = Rule("r", DO, label="mug", dwell_s=2.5)
    assert fired(rule, (0, MUG), (1, MUG), (1 + GAP_S, MUG), (3.5, MUG)) == [3.0]
    assert fired(rule, (0, MUG), (1, MUG), (3.5, MUG), (5, MUG), (6, MUG)) == [6]


@pytest.mark.parametrize(
    ("rule", "seen", "fires"),
    [
        (Rule("r", DO), MUG, True),
        (Rule("r", DO, label="cup"), MUG, False),
        (Rule("r", DO), Seen("0", "shop", "mug", "maybe"), False),
        (Rule("r", DO, certainty="maybe"), Seen("0", "shop", "mug", "maybe"), True),
        (Rule("r", DO, certainty="maybe"), MUG, True),
        (Rule("r", DO, certainty="maybe"), Seen("0", "shop", None, "unknown"), False),
        (Rule("r", DO, certainty="unknown"), Seen("0", "shop", None, "unknown"), True),
        (Rule("r", DO, certainty="unknown"), MUG, False),
        (Rule("r", DO, camera="shop"), MUG, True),
        (Rule("r", DO, camera="0"), MUG, True),
        (Rule("r", DO, camera="yard"), MUG, False),
    ],
)
def test_label_certainty_and_camera_decide(rule, seen, fires):
    assert bool(fired(rule, (0, seen))) == fires


def test_each_camera_and_each_class_counts_for_itself():
    trigger = Trigger([Rule("r", DO)])
    things = [MUG, Seen("1", "yard", "mug", "sure"), Seen("0", "shop", "cup", "sure")]
    assert [len(trigger.update(seen, 0)) for seen in things + things] == [1, 1, 1, 0, 0, 0]

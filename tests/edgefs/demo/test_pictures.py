"""A picture of the demo's page says why its frame was called unknown."""

from dataclasses import replace

import pytest

from edgefs.demo.pictures import answer


@pytest.fixture
def shown(demo_run):
    playback, _ = demo_run
    return playback.mistakes.kept[0]


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        ("score", "nearest: mug 0.41, needs 0.60"),
        ("margin", "between mug and cap"),
        ("nearest shot", "like mug, but not near any of its views"),
        ("not this", "like a picture that was rejected for mug"),
    ],
)
def test_the_check_that_failed_is_said(shown, check, reason):
    unknown = replace(
        shown.answer, label=None, candidate="mug", runner_up="cap", score=0.41, threshold=0.6, check=check
    )
    figure = answer(replace(shown, answer=unknown, time_s=2.0), "cosine")
    assert "<b>unknown</b>" in figure
    assert reason in figure
    assert "at 2.0 s" in figure


def test_a_name_has_its_score_and_is_escaped(shown):
    named = replace(shown.answer, label="<mug>", candidate="<mug>", score=0.8, threshold=0.6)
    figure = answer(replace(shown, answer=named), "cosine")
    assert "&lt;mug&gt;" in figure
    assert "<mug>" not in figure
    assert "0.80, needs 0.60" in figure
    assert 'class="bar"' in figure
    assert 'class="bar' not in answer(replace(shown, answer=named), "euclidean")

"""The caption of a frame: the answer, its score, and the check that decided."""

import numpy as np
import pytest

from edgefs.demo.pictures import answer
from edgefs.demo.playback import Picture
from runtime.recognition import Recognition


def shown(check: str, label: str | None = None, **changes) -> Picture:
    values = {"label": label, "certainty": "sure" if label else "unknown", "candidate": "mug", "score": 0.5}
    values |= {"threshold": 0.61, "runner_up": "cap", "margin": 0.1, "check": check, "nearest": (), "timings_ms": {}}
    return Picture(b"", 1.25, "mug <b>", Recognition(**values | changes, embedding=np.zeros(2, np.float32)))


@pytest.mark.parametrize(
    ("check", "says"),
    [
        ("score", "nearest: mug 0.50, needs 0.61"),
        ("twin", "between mug and cap"),
        ("not this", "like a picture that was rejected for mug"),
        ("empty gallery", "empty gallery"),
    ],
)
def test_an_unknown_frame_has_its_reason(check, says):
    html = answer(shown(check), "cosine")
    assert f"{says}<br>at 1.2 s" in html
    assert "<b>unknown</b>" in html
    assert 'alt="mug &lt;b&gt;, answered unknown"' in html


def test_a_name_has_its_score_and_a_cosine_its_bar():
    html = answer(shown("accepted", "mug", score=0.8), "cosine")
    assert "<b>mug</b>" in html
    assert "0.80, needs 0.61<br>" in html
    assert 'style="width:80.0%"' in html
    assert 'class="bar' not in answer(shown("accepted", "mug"), "euclidean")


def test_the_reason_is_chinese_where_that_is_asked_for(monkeypatch):
    monkeypatch.setenv("EDGEFS_LANG", "zh")
    html = answer(shown("score"), "cosine", title="一")
    assert "最近：mug 0.50，需要 0.61<br>第 1.2 秒" in html

"""The timeline has a lane for each name, with blocks where it was taught, right and answered."""

from pathlib import Path
from types import SimpleNamespace

from edgefs.demo.playback import Answer, Playback, TaughtSpan
from edgefs.demo.spans import Span
from edgefs.demo.stream import Recording
from edgefs.demo.timeline import timeline


def test_blocks_are_placed_by_time_and_named_by_kind():
    recording = Recording(Path("clip.mp4"), [Span(0, 1, "mug", "mug")], [Span(1, 2, "mug", "mug")])
    playback = Playback(recording, fps=2)
    playback.taught = [TaughtSpan(recording.taught[0], 2, SimpleNamespace(label="mug"), [], [])]
    playback.answers = [Answer(1.0, "mug", "mug", "right"), Answer(1.5, "mug", None, "unknown")]
    mug, unknown = timeline(playback).split('<div class="lane">')[1:]
    assert '<path class="taught" d="M0.0 0h500.0' in mug
    assert '<path class="truth" d="M500.0 0h500.0' in mug
    assert '<path class="answered" d="M500.0 0h250.0' in mug
    assert '<path class="wrong" d="M750.0 0h250.0' in unknown
    assert "<span>2 s</span>" in unknown

"""A short run of the demo with the tiny embedder, which makes mistakes."""

import pytest

from edgefs.demo import report
from edgefs.demo.playback import play
from edgefs.demo.stream import Plan, record
from edgefs.reports.progress import silent
from runtime.recognizer import Recognizer


@pytest.fixture(scope="session")
def demo_run(tiny_bundle, tmp_path_factory):
    """What happened, and the figures."""
    pytest.importorskip("skimage", reason="the photographs come from scikit-image: pip install 'edgefs[demo]'")
    recording = record(tmp_path_factory.mktemp("demo"), plan=Plan(0.3, 0.3, 1), progress=silent)
    with Recognizer(tiny_bundle, engine="onnxruntime") as recognizer:
        playback = play(recognizer, recording, progress=silent)
        return playback, report.build(playback, recognizer)

"""The figures of a demo run count every frame once."""

import json

from edgefs.demo.playback import Answer
from edgefs.demo.report import REQUIRED, _timeline


def test_the_figures_are_strict_json_and_add_up(demo_run):
    playback, report = demo_run
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert report["frames"] == sum(report["answers"].values()) == len(playback.answers)
    for row in report["subjects"]:
        assert row["right"] + row["wrong"] + row["unknown"] == row["frames"]
    assert report["passed"] == all(report[name]["share"] >= REQUIRED[name] for name in REQUIRED)


def test_strangers_come_last(demo_run):
    known = [row["known"] for row in demo_run[1]["subjects"]]
    assert known == sorted(known, reverse=True)


def test_the_timeline_counts_answers_by_the_second():
    answers = [Answer(time_s, None, label, "") for time_s, label in ((0.1, "mug"), (0.9, None), (1.2, "mug"))]
    assert _timeline(answers) == {
        "bin_s": 1.0,
        "bins": [{"start_s": 0.0, "answers": {"mug": 1, "unknown": 1}}, {"start_s": 1.0, "answers": {"mug": 1}}],
    }
    assert _timeline([])["bins"] == []

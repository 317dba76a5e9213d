"""The command line: the main job from a shell, strict JSON, and errors that are answers."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgefs import cli
from edgefs.cli import COMMANDS, main


def strict(text):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


TINY = ["--bundle", "tiny.edgefs"]
OPTIONS = [*TINY, "--gallery", "shop.db", "--engine", "onnxruntime"]


def run(capsys, *arguments):
    """Run with `--json -`; return status, the object on stdout, and stderr."""
    capsys.readouterr()
    status = main([*map(str, arguments), "--json", "-"])
    out, err = capsys.readouterr()
    return status, strict(out), err  # stdout is one JSON object and nothing else


def gallery(capsys, *arguments):
    return run(capsys, "gallery", *arguments, "--gallery", "shop.db")


# -- the main job


def test_enroll_prints_for_people_and_writes_json(shop, capsys):
    capsys.readouterr()
    assert main(["enroll", "box", "stranger/show", *OPTIONS, "--json", "report.json"]) == 0
    out, err = capsys.readouterr()
    assert "box: 4 shots taken, 0 frames refused" in out
    assert "five different ones" in out
    assert err == ""
    report = strict((shop / "report.json").read_text())
    assert (report["label"], report["shots"], len(report["accepted"]), report["passed"]) == ("box", 4, 4, True)


def test_recognize_names_the_known_and_not_the_stranger(shop, capsys):
    status, report, err = run(capsys, "recognize", "mug/ask", "stranger/ask", *OPTIONS)
    assert status == 0
    assert report["counts"] == {"mug": 4, "unknown": 4}
    assert [frame["label"] for frame in report["frames"]] == ["mug"] * 4 + [None] * 4
    assert report["frames"][0]["source"] == "mug/ask"
    assert report["frames"][0]["nearest"][0]["shot_id"] > 0
    assert report["engine"]["name"] == "onnxruntime"
    assert "mug: 4, unknown: 4" in err  # with --json - the words for people go there
    status, report, _ = run(capsys, "recognize", "stranger/ask", "--closed-set", *OPTIONS)
    assert "unknown" not in report["counts"]
    assert report["frames"][0]["threshold"] is None  # minus infinity is no JSON


def test_every_and_region_choose_frames_and_pixels(shop, capsys):
    _, report, _ = run(capsys, "recognize", "mug/ask", "--every", 2, *OPTIONS)
    assert [frame["index"] for frame in report["frames"]] == [0, 2]
    _, whole, _ = run(capsys, "recognize", "mug/ask/0.png", *OPTIONS)
    _, part, _ = run(capsys, "recognize", "mug/ask/0.png", "--region", "10,10,100,100", *OPTIONS)
    assert whole["frames"][0]["score"] != part["frames"][0]["score"]


def test_an_enrolment_of_which_nothing_is_left_fails(shop, capsys):
    cv2.imwrite("black.png", np.zeros((60, 80, 3), np.uint8))
    status, report, err = run(capsys, "enroll", "night", "black.png", *OPTIONS)
    assert (status, report["passed"], report["shots"], report["accepted"]) == (1, False, 0, [])
    assert report["rejected"] == [{"index": 0, "reason": "too dark"}]
    assert "too dark; add light" in err


def test_the_gallery_can_be_looked_at_and_changed_and_changed_back(shop, capsys):
    _, listing, _ = gallery(capsys, "ls")
    assert [(c["label"], c["shots"], c["bursts"], c["negatives"]) for c in listing["classes"]] == [
        ("mug", 4, 1, 0),
        ("cup", 4, 1, 0),
    ]
    assert listing["damaged"] == []
    _, shown, _ = gallery(capsys, "show", "mug")
    assert [shot["kind"] for shot in shown["shots"]] == ["shot"] * 4
    assert gallery(capsys, "rename", "mug", "beaker")[1]["to"] == "beaker"
    assert gallery(capsys, "merge", "cup", "beaker")[1]["shots"] == 4
    assert gallery(capsys, "rm", "beaker")[1]["shots"] == 8
    _, history, _ = gallery(capsys, "history")
    assert [entry["what"].split()[0] for entry in history["history"]] == [
        "forgot",
        "merged",
        "renamed",
        "enrolled",
        "enrolled",
    ]
    for word in ("forgot", "merged", "renamed"):
        assert gallery(capsys, "undo")[1]["undone"].startswith(word)
    assert gallery(capsys, "ls")[1] == listing


def test_a_gallery_travels_in_a_file(shop, tiny, capsys):
    assert gallery(capsys, "export", "shop.zip")[1]["classes"] == ["mug", "cup"]
    move = ["gallery", "import", "shop.zip", "--gallery", "new.db", "--bundle", "tiny.edgefs"]
    assert run(capsys, *move)[1]["added"] == 8
    assert run(capsys, *move)[1]["skipped_duplicates"] == 8
    assert run(capsys, "gallery", "ls", "--gallery", "new.db")[1]["classes"][0]["label"] == "mug"
    tiny.bundle(dim=48, seed=3).save("better.edgefs")  # another model: embedded again from the crops
    move = ["gallery", "import", "shop.zip", "--gallery", "better.db", "--bundle", "better.edgefs"]
    assert run(capsys, *move)[1]["per_class"] == {"mug": 4, "cup": 4}


def test_a_better_bundle_takes_the_gallery_over(shop, tiny, capsys):
    tiny.bundle(dim=48, seed=3).save("better.edgefs")
    better = ["--bundle", "better.edgefs", "--gallery", "shop.db"]
    status, report, _ = run(capsys, "recognize", "mug/ask", *better)
    assert status == 1
    assert report["error"]["type"] == "GalleryMismatch"
    assert "edgefs gallery reembed" in report["error"]["message"]
    assert run(capsys, "gallery", "reembed", *better)[1]["shots"] == 8
    assert run(capsys, "gallery", "reembed", *better)[1]["shots"] == 0
    status, report, _ = run(capsys, "recognize", "mug/ask", *better)
    assert status == 0
    assert {frame["candidate"] for frame in report["frames"]} == {"mug"}


# -- errors


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (["recognize", "mug/ask", *TINY, "--gallery", "typo.db"], "GalleryMissing", "edgefs enroll NAME SOURCE"),
        (["recognize", "absent.png", *OPTIONS], "CameraMissing", "absent.png"),
        (["recognize", "mug/ask", "--region", "900,0,10,10", *OPTIONS], "FrameError", "choose a smaller one"),
        (
            ["recognize", "mug/ask", "--bundle", "absent.edgefs", "--gallery", "shop.db"],
            "BundleMissing",
            "check the path",
        ),
        (["recognize", "mug/ask", *OPTIONS, "--engine", "tpu"], "OptionError", "one of auto, onnxruntime, openvino"),
        (["enroll", "a\nb", "mug/show", *OPTIONS], "InvalidLabel", "control"),
        (["enroll", "mug", "tiny.edgefs/manifest.json", *OPTIONS], None, "manifest.json"),
        (
            ["enroll", "mug", "mug/show", *TINY, "--gallery", "tiny.edgefs/manifest.json"],
            "GalleryCorrupt",
            "manifest.json",
        ),
        (["enroll", "mug", "mug/show", *TINY, "--gallery", "no/such/x.db"], "GalleryUnwritable", "Create the folder"),
        (["gallery", "rm", "mugg", "--gallery", "shop.db"], "UnknownLabel", "Did you mean 'mug'"),
        (["gallery", "ls", "--gallery", "typo.db"], "GalleryMissing", "typo.db"),
        (["gallery", "import", "absent.zip", "--gallery", "shop.db", *TINY], "GalleryCorrupt", "absent.zip"),
        (["gallery", "export", "no/such/x.zip", "--gallery", "shop.db"], "GalleryUnwritable", "Choose another place"),
    ],
)
def test_an_error_is_a_sentence_a_json_object_and_status_1(shop, capsys, arguments, kind, words):
    before = sorted(path.name for path in shop.iterdir())
    status, report, err = run(capsys, *arguments)
    assert status == 1
    assert kind in (None, report["error"]["type"])
    assert words in report["error"]["message"]
    assert report["error"]["message"] in err
    assert "Traceback" not in err
    assert sorted(path.name for path in shop.iterdir()) == before  # nothing was made by accident


@pytest.mark.parametrize(
    "arguments",
    [
        ["enroll"],
        ["gallery"],
        ["gallery", "shred"],
        ["paint"],
        ["recognize", "x.png", "--every", "0"],
        ["recognize", "x.png", "--every", "-3"],
        ["recognize", "x.png", "--seconds", "nan"],
        ["recognize", "x.png", "--start", "-1"],
        ["recognize", "x.png", "--threads", "0"],
        ["recognize", "x.png", "--region", "1,2,3"],
    ],
)
def test_wrong_usage_is_status_2_and_says_what_would_be_right(capsys, arguments):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert "usage: edgefs" in capsys.readouterr().err


# -- help


def test_help_without_a_command_lists_all_with_examples(capsys):
    assert main([]) == 2
    out = capsys.readouterr().out
    assert all(f"    {name}" in out for name in COMMANDS)
    assert "examples:\n  edgefs demo" in out
    stated = re.findall(r"^  (\d+) ", out.partition("exit status:\n")[2], re.MULTILINE)
    assert stated == ["0", "1", "2", "130", "141"] == re.findall(r"\d+", main.__doc__.partition("Returns:")[2])


def test_an_interrupted_command_is_status_130(monkeypatch):
    def interrupt(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_run", interrupt)
    assert main(["doctor"]) == 130


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_examples_and_json(capsys, name):
    with pytest.raises(SystemExit) as stopped:
        main([name, "--help"])
    assert stopped.value.code == 0
    out = capsys.readouterr().out
    assert "examples:" in out
    assert f"\n  edgefs {name}" in out
    first = {"gallery": "ls", "models": "ls", "bundle": "verify", "rollout": "publish", "fleet": "status"}
    if name in first:
        with pytest.raises(SystemExit):
            main([name, first[name], "--help"])
        out = capsys.readouterr().out
    assert "--json" in out


# -- the small parts


def test_a_reader_that_goes_away_gets_no_traceback(shop):
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "edgefs.cli",
        "recognize",
        *["mug/ask"] * 3,
        *OPTIONS,
        "--json",
        "-",
    ]
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
        "PYTHONUNBUFFERED": "1",
    }
    process = subprocess.Popen(command, cwd=shop, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    assert process.wait() == 141


def test_python_m_works_and_stdout_is_pure(shop, python):
    code = "import sys; from edgefs.cli import main; sys.exit(main(sys.argv[1:]))"
    done = python(
        code,
        "recognize",
        shop / "mug/ask",
        "--bundle",
        shop / "tiny.edgefs",
        "--gallery",
        shop / "shop.db",
        "--json",
        "-",
    )
    assert strict(done.stdout)["counts"] == {"mug": 4}

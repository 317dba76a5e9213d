"""The gallery from the shell: classes, why, reject, rate, swap, privacy, and open-set figures."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgefs.cli import main
from edgefs.evaluation.metrics import auroc
from edgefs.evaluation.open_set import open_set


@pytest.fixture
def shop(tiny, tiny_bundle, tmp_path, monkeypatch):
    """Pictures of three things, taught; the working folder is where they lie."""
    monkeypatch.chdir(tmp_path)
    tiny_bundle.save(tmp_path / "tiny.edgefs")
    for label, seed in {"mug": 0, "cup": 1, "box": 2}.items():
        (tmp_path / label).mkdir()
        for i, frame in enumerate(tiny.views(seed, 6)):
            cv2.imwrite(f"{label}/{i}.png", frame)
        assert main(["enroll", label, label, "--bundle", "tiny.edgefs", "--engine", "onnxruntime"]) == 0
    cv2.imwrite("query.png", tiny.views(0, 1, start=50)[0])
    return tmp_path


def told(*words):
    assert main([*words, "--json", "out.json"]) == 0
    return json.loads(Path("out.json").read_text())


def test_classes_say_what_to_do_next_and_why_says_why(shop, capsys):
    classes = told("gallery", "classes", "--bundle", "tiny.edgefs")["classes"]
    assert [c["label"] for c in classes] == ["mug", "cup", "box"]
    assert all(c["reliable"] == (c["advice"] == "reliable") for c in classes)
    assert "next" in capsys.readouterr().out
    why = told("gallery", "why", "query.png", "--bundle", "tiny.edgefs")["why"]
    assert why["recognition"]["label"] == "mug"
    assert why["sentences"][0].startswith("This is 'mug'")
    assert "crop" not in why["nearest"][0]
    assert "This is 'mug'" in capsys.readouterr().out


def test_the_gallery_remembers_a_stranger_rate(shop, capsys):
    assert told("gallery", "rate")["rate"] == 0.05
    assert told("gallery", "rate", "10%")["rate"] == 0.1
    assert told("gallery", "rate")["rate"] == 0.1
    assert "at most 10 % of strangers" in capsys.readouterr().out


def test_a_thing_taught_under_another_name_is_noticed(shop, capsys):
    report = told("enroll", "becher", "mug", "--bundle", "tiny.edgefs", "--engine", "onnxruntime")
    assert report["similar"][0]["label"] == "mug"
    assert "looks like mug" in capsys.readouterr().out


def test_a_rejected_picture_is_unknown_until_it_is_undone(shop):
    def recognised():
        (frame,) = told("recognize", "query.png", "--bundle", "tiny.edgefs", "--why")["frames"]
        assert "embedding" not in frame
        return frame["label"], frame["check"], frame["why"]

    assert recognised()[0] == "mug"
    told("gallery", "reject", "mug", "query.png", "--bundle", "tiny.edgefs")
    label, check, why = recognised()
    assert (label, check) == (None, "not this")
    assert any('marked "not mug"' in line for line in why)
    told("gallery", "undo")
    assert recognised()[0] == "mug"


def test_a_swap_compares_the_models_and_goes_back(shop, tiny):
    tiny.bundle(dim=48, seed=3).save(shop / "better.edgefs")
    report = told("gallery", "swap", "--bundle", "better.edgefs")
    assert set(report["before"]) == set(report["after"]) == {"mug", "cup", "box"}
    assert told("gallery", "ls")["dim"] == 48
    told("gallery", "swap", "--bundle", "tiny.edgefs")
    assert told("recognize", "query.png", "--bundle", "tiny.edgefs")["frames"][0]["label"] == "mug"


def test_privacy_keeps_no_picture(shop):
    told("enroll", "jug", "mug", "--gallery", "private.db", "--bundle", "tiny.edgefs", "--no-crops")
    told("gallery", "export", "private.zip", "--gallery", "private.db")
    assert b".jpg" not in (shop / "private.zip").read_bytes()


def test_open_set_figures_of_a_folder(shop, tiny, capsys):
    for label in range(8):
        (shop / f"photos/{label}").mkdir(parents=True)
        for i, frame in enumerate(tiny.views(100 + label, 8)):
            cv2.imwrite(f"photos/{label}/{i}.png", frame)
    report = told(
        *("evaluate", "tiny.edgefs", "--data", "folder", "--root", "photos", "--split", "all", "--open-set"),
        *("--shots", "3", "5", "--galleries", "6", "--rate", "10%", "--engine", "onnxruntime"),
    )["open_set"]
    assert [r["n_shot"] for r in report] == [3, 5]
    assert report[0]["auroc"][0] > 90
    assert report[0]["n_known"] == 4
    assert "false accepts" in capsys.readouterr().out


def test_auroc_is_that_of_the_textbook():
    assert auroc(np.array([3.0, 4.0]), np.array([1.0, 2.0])) == 100
    assert auroc(np.array([1.0, 2.0]), np.array([1.0, 2.0])) == 50
    assert auroc(np.array([1.0]), np.array([2.0, 0.0, 1.0])) == 50


def test_the_same_seed_draws_the_same_galleries(tiny_bundle):
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((10, tiny_bundle.dim))
    rows = (np.repeat(centres, 9, axis=0) + 0.6 * rng.standard_normal((90, tiny_bundle.dim))).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    labels = np.repeat(np.arange(10), 9)
    one, other = (open_set(rows, labels, tiny_bundle, n_galleries=5) for _ in range(2))
    assert one == other
    assert open_set(rows, labels, tiny_bundle, n_galleries=5, seed=1) != one


def test_a_tree_of_class_folders_is_taught_at_once(shop, capsys):
    (shop / "mug/broken.png").write_bytes(b"no picture")
    (shop / "tree").mkdir()
    for label in ("mug", "cup", "box"):
        (shop / label).rename(shop / "tree" / label)
    report = told("enroll", "--tree", "tree", "--gallery", "tree.db", "--bundle", "tiny.edgefs")
    assert [(each["label"], each["accepted"]) for each in report["classes"]] == [("box", 6), ("cup", 6), ("mug", 6)]
    assert "broken.png" in report["classes"][2]["unreadable"][0]
    with pytest.raises(SystemExit, match="2"):
        main(["enroll", "mug", "--tree", "tree", "--bundle", "tiny.edgefs"])
    assert "no name may be given" in capsys.readouterr().err


def test_a_gallery_is_evaluated_on_pictures_it_was_not_taught_from(shop, tiny, capsys):
    pytest.importorskip("matplotlib")
    for folder, seed in {"test/mug": 0, "test/cup": 1, "others": 9}.items():
        (shop / folder).mkdir(parents=True)
        for i, frame in enumerate(tiny.views(seed, 4, start=70)):
            cv2.imwrite(f"{folder}/{i}.png", frame)
    options = ("--root", "test", "--strangers", "others", "--out", "report", "--bundle", "tiny.edgefs")
    report = told("gallery", "evaluate", *options)
    assert report["outcomes"]["mug"]["wrong"] == 0
    assert sum(report["outcomes"]["(strangers)"].values()) == 4
    rates = [rate for rate, _, _ in report["by_rate"]]
    assert rates == sorted(rates)
    assert {path.name for path in (shop / "report").iterdir()} == {"confusion.csv", "confusion.png", "rates.png"}
    assert "(strangers)" in capsys.readouterr().out


def test_a_folder_of_pictures_is_a_list_with_their_names(shop):
    told("recognize", "mug", "--bundle", "tiny.edgefs", "--csv", "answers.csv")
    lines = Path("answers.csv").read_text().splitlines()
    assert lines[0].startswith("source,name,")
    assert [line.split(",")[1] for line in lines[1:]] == [f"{i}.png" for i in range(6)]

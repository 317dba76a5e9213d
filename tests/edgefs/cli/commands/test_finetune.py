import json

import pytest

from edgefs.cli import main

pytestmark = pytest.mark.torch


@pytest.fixture
def pictures(tmp_path):
    cv2 = pytest.importorskip("cv2")
    import numpy as np

    for root, shift in (("source", 0), ("target", 80)):
        noise = np.random.default_rng(shift)
        for label, name in enumerate(("ant", "bee")):
            folder = tmp_path / root / name
            folder.mkdir(parents=True)
            pattern = np.kron(np.random.default_rng(label).integers(0, 170, (4, 4)), np.ones((7, 7)))
            for k in range(10):
                image = np.clip(pattern + shift + noise.normal(0, 15, pattern.shape), 0, 255).astype(np.uint8)
                cv2.imwrite(str(folder / f"{k}.png"), image)
    return tmp_path


def test_finetune_prints_a_table_and_leaves_a_gallery_with_the_classes(pictures, capsys):
    out = pictures / "run"
    words = ["finetune", "--root", str(pictures / "source"), "--backbone", "lenet", "--out", str(out), "--epochs", "3"]
    assert (
        main([*words, "--lr", "3e-3", "--batch", "8", "--threads", "1", "--bundle", "--json", str(out) + ".json"]) == 0
    )
    said = capsys.readouterr().out
    assert "waiting for data" in said
    assert "ant" in said
    told = json.loads((pictures / "run.json").read_text())
    assert told["test"]["n"] == 4
    assert told["bundle"] == str(out / "model.edgefs")
    assert main(["gallery", "ls", "--gallery", told["gallery"]]) == 0
    assert "bee" in capsys.readouterr().out


def test_adapt_reports_what_it_promises_as_json(pictures, capsys):
    words = ["adapt", "dann", "--source", str(pictures / "source"), "--target", str(pictures / "target")]
    assert main([*words, "--seeds", "2", "--steps", "10", "--batch", "8", "--threads", "1", "--json", "-"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert {"target_accuracy", "source_only_accuracy", "target_trained_accuracy", "gain", "seeds"} <= set(told)
    assert told["seeds"] == [0, 1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["adapt", "dann", "--source", "x"], "--target is not given"),
        (["adapt", "dann", "--source", "nowhere", "--target", "nowhere"], "nowhere must be a folder"),
        (["finetune", "--root", "nowhere"], "nowhere must be a folder"),
        (["finetune", "--root", "x", "--trainable", "most"], "must be head, last:N"),
        (["finetune", "--root", "x", "--out", "/dev/null/run"], "/dev/null is a file; choose another --out"),
        (["train", "protonet", "--data", "folder", "--out", "/dev/null/run"], "/dev/null is a file"),
        (["adapt", "coral", "--source", "x", "--target", "y", "--out", "/dev/null/run"], "/dev/null is a file"),
    ],
)
def test_bad_input_ends_in_one_line(words, message, capsys):
    assert main(words) == 1
    assert message in capsys.readouterr().err

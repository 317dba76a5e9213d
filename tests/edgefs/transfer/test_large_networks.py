"""The networks the user named, from fine-tuning to a gallery on the device. Random weights, tiny data, minutes."""

import cv2
import pytest

from edgefs import Bundle, Recognizer

pytestmark = [pytest.mark.torch, pytest.mark.slow]


@pytest.mark.parametrize(("backbone", "size"), [("vgg16", 224), ("resnet50", 64), ("inception_v3", 80)])
def test_fine_tune_export_enrol(small_config, tmp_path, backbone, size):
    from edgefs import finetune
    from edgefs.cli import main
    from edgefs.methods import FinetuneConfig
    from edgefs.transfer.device import enrol_classes
    from edgefs.transfer.files import find_files

    config = small_config(
        backbone=backbone, weights="none", size=size, epochs=1, lr=1e-4, trainable="last:2", batch_norm="eval"
    )
    report = finetune(config, quiet=True)
    out = tmp_path / "model.edgefs"
    words = ["export", str(report.best), "--out", str(out), "--targets", "onnx,openvino", "--verify", config.root]
    assert main([*words, "--allow"]) == 0
    bundle, gallery = Bundle.load(out), tmp_path / "classes.db"
    files = find_files(FinetuneConfig(root=config.root, data=str(tmp_path / "run" / "split.csv")))
    assert enrol_classes(bundle, files, gallery) == report.images["train"]
    with Recognizer(bundle, gallery=gallery, stranger_rate=None) as recognizer:
        assert set(recognizer.labels) == {"ant", "bee", "cat"}
        assert recognizer.recognize(cv2.imread(f"{config.root}/bee/00.png")).label in recognizer.labels
        recognizer.enroll("dog", [cv2.imread(f"{config.root}/cat/01.png")])
        assert "dog" in recognizer.labels

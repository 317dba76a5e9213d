"""The bundle and the gallery of a fine-tuned network."""

import numpy as np
import pytest

from edgefs.errors import ConfigError
from runtime.errors import EdgefsError

pytestmark = pytest.mark.torch


def test_a_finetuned_model_opens_in_the_recogniser_with_its_classes_enrolled(small_config):
    import cv2

    from edgefs import Bundle, Recognizer, finetune

    config = small_config(epochs=6, bundle=True)
    report = finetune(config, quiet=True)
    assert report.shots == 18
    with Recognizer(Bundle.load(report.bundle), gallery=report.gallery, stranger_rate=None) as recognizer:
        assert sorted(recognizer.labels) == ["ant", "bee", "cat"]
        frame = cv2.imread(f"{config.root}/bee/00.png")
        assert recognizer.recognize(frame).label == "bee"
        recognizer.enroll("dog", [np.random.default_rng(9).integers(0, 256, (64, 64, 3)).astype(np.uint8)])
        assert "dog" in recognizer.labels
    assert report.best.exists()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("cat", "Cat"), "differ only in case, spaces or Unicode form"),
        (("cat", "cat "), "differ only in case, spaces or Unicode form"),
        (("cat", "Unknown"), "must not be 'unknown'"),
        (("cat", "x" * 101), "1 to 100 characters"),
    ],
)
def test_classes_that_cannot_be_labels_of_a_gallery_are_refused_before_training(
    small_config, write_pictures, tmp_path, names, message
):
    from edgefs.transfer.finetune import finetune

    root = write_pictures(tmp_path / "names", names=names)
    with pytest.raises(EdgefsError, match=message):
        finetune(small_config(root=root, bundle=True), quiet=True)
    assert not (tmp_path / "run").exists()


def test_the_folder_of_a_killed_run_is_used_again_and_that_of_a_finished_one_is_not(
    small_config, tmp_path, monkeypatch
):
    from edgefs.transfer import device
    from edgefs.transfer.finetune import finetune

    config, really = small_config(epochs=1, bundle=True), device._shot

    def killed(*_):
        raise SystemExit

    monkeypatch.setattr(device, "_shot", killed)
    with pytest.raises(SystemExit):
        finetune(config, quiet=True)
    assert not (tmp_path / "run" / "classes.db").exists()
    monkeypatch.setattr(device, "_shot", really)
    assert finetune(config, quiet=True).shots == 18
    assert [path.name for path in (tmp_path / "run").glob("*.part*")] == []
    with pytest.raises(ConfigError, match="must be a new folder"):
        finetune(config, quiet=True)

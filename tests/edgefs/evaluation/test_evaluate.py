"""A trained network goes to the device: bundle, engine, enrolment; and its figures are the same there."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.torch

from edgefs.data import load  # noqa: E402
from edgefs.evaluation.evaluate import evaluate  # noqa: E402
from edgefs.sources import embedder_of  # noqa: E402
from edgefs.training.loop import train  # noqa: E402
from exporters.pack import pack  # noqa: E402
from runtime.recognizer import Recognizer  # noqa: E402


def bundle_of(best, frames):
    graph, preprocess = embedder_of(best)
    return pack(graph, preprocess, name="small", description="", golden_frames=preprocess.batch(frames))


@pytest.mark.parametrize("method", ["protonet", "classifier", "maml", "reptile"])
def test_a_network_of_every_method_can_be_enrolled_with_on_the_device(small_config, small_data, method):
    steps = {"protonet": 60, "classifier": 60, "maml": 10, "reptile": 10}[method]
    report = train(small_config(method, steps=steps, val_every=steps), quiet=True)
    images = load("folder", small_data, "val")
    shots = [images.images[images.labels == label] for label in range(3)]
    bundle = bundle_of(report.best, [own[0] for own in shots])
    with Recognizer(bundle, engine="onnxruntime", stranger_rate=None) as recognizer:
        for name, own in zip("abc", shots, strict=False):
            recognizer.enroll(name, list(own[:4]))
        answers = [[recognizer.recognize(frame).label for frame in own[4:]] for own in shots]
    right = np.mean([answer == name for name, own in zip("abc", answers, strict=False) for answer in own])
    assert right >= 0.75


def test_a_bundle_has_the_accuracy_of_its_checkpoint(small_config, small_data, tmp_path):
    report = train(small_config(steps=20, val_every=20), quiet=True)
    images = load("folder", small_data, "val")
    path = tmp_path / "small.edgefs"
    bundle_of(report.best, list(images.images[:3])).save(path)
    options = {
        "data": "folder",
        "root": small_data,
        "split": "val",
        "ways": (3,),
        "shots": (1,),
        "n_query": 3,
        "n_episodes": 100,
    }
    torch_figures, engine_figures = evaluate(report.best, **options), evaluate(path, engine="onnxruntime", **options)
    assert engine_figures.engine.name == "onnxruntime"
    assert dict(engine_figures.accuracies)["trained"].mean == pytest.approx(
        dict(torch_figures.accuracies)["trained"].mean, abs=0.5
    )


def test_an_evaluation_shows_every_head_and_skips_a_head_of_another_way(small_config, small_data):
    report = train(small_config("maml", steps=2, val_every=2), quiet=True)
    found = evaluate(
        report.best, data="folder", root=small_data, split="train", ways=(3, 5), shots=(1,), n_query=3, n_episodes=20
    )
    heads = [(head, accuracy.n_way) for head, accuracy in found.accuracies]
    assert heads == [("trained", 3), ("UN", 3), ("L2N", 3), ("CL2N", 3), ("UN", 5), ("L2N", 5), ("CL2N", 5)]
    assert found.images == 96

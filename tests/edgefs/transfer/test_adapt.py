"""Adaptation on two tiny domains: the same patterns, one of them inverted and brighter."""

import json

import numpy as np
import pytest

from edgefs.errors import ConfigError, DataError

pytestmark = pytest.mark.torch


@pytest.fixture
def domains(tmp_path, write_pictures):
    return write_pictures(tmp_path / "source", size=28), write_pictures(tmp_path / "target", size=28, shift=90, seed=1)


@pytest.fixture
def config(domains):
    from edgefs.methods import config_of

    def make(method="dann", **options):
        source, target = domains
        base = {"source": str(source), "target": str(target), "seeds": 2, "steps": 30, "batch": 16, "threads": 1}
        return config_of(method, **{**base, "lr": 3e-3, **options})

    return make


@pytest.mark.parametrize("method", ["dann", "mmd", "coral", "adabn"])
def test_every_method_reports_both_bounds_and_its_gain(config, method):
    from edgefs import adapt

    report = adapt(config(method), quiet=True)
    assert report.seeds == (0, 1)
    assert report.target_accuracy > 80
    assert report.target_trained_accuracy > 80
    gains = [run.target_accuracy - run.source_only_accuracy for run in report.runs]
    assert report.gain == pytest.approx(np.mean(gains))
    assert report.gain_interval >= 0


def test_plain_keyword_arguments_are_the_options_of_the_method(domains):
    from edgefs import adapt

    source, target = map(str, domains)
    options = {"seeds": 1, "steps": 5, "batch": 16, "threads": 1, "bounds": False}
    assert adapt("coral", source=source, target=target, quiet=True, **options).seeds == (0,)
    with pytest.raises(ConfigError, match="dann needs target"):
        adapt("dann", source=source)
    with pytest.raises(ConfigError, match="method must be one of dann, mmd, coral, adabn"):
        adapt("protonet", source=source, target=target)


def test_the_labels_of_the_target_do_not_influence_training(config, domains, tmp_path):
    """With every label of the target wrong, the adapted network is the same, bit by bit; only its score is another."""
    import shutil

    import torch

    from edgefs import adapt
    from edgefs.checkpoint import load_checkpoint

    target = domains[1]
    wrong = tmp_path / "wrong"
    for name, other in (("ant", "bee"), ("bee", "cat"), ("cat", "ant")):
        shutil.copytree(target / name, wrong / other)
    options = {"seeds": 1, "target": str(tmp_path / "flat")}
    (tmp_path / "flat").mkdir()
    for path in sorted(target.rglob("*.png")):
        shutil.copy(path, tmp_path / "flat" / f"{path.parent.name}-{path.name}")
    true = adapt(config(out=str(tmp_path / "a"), target_labels=str(target), **options), quiet=True)
    false = adapt(config(out=str(tmp_path / "b"), target_labels=str(wrong), **options), quiet=True)
    none = adapt(config(out=str(tmp_path / "c"), **options), quiet=True)
    networks = [load_checkpoint(report.best).method.state_dict() for report in (true, false, none)]
    for name, tensor in networks[0].items():
        assert all(torch.equal(tensor, other[name]) for other in networks[1:])
    assert true.target_accuracy > 80 > 20 > false.target_accuracy
    assert none.target_accuracy is None


def test_an_adapted_network_opens_in_evaluate_and_the_report_names_no_folder(config, domains, tmp_path):
    from edgefs import adapt, evaluate

    report = adapt(config("mmd", seeds=1, out=str(tmp_path / "run")), quiet=True)
    found = evaluate(report.best, data="folder", root=domains[1], ways=(3,), shots=(1,), n_query=5, n_episodes=20)
    assert found.classes == 3
    text = (tmp_path / "run" / "report.json").read_text()
    assert str(tmp_path) not in text
    assert json.loads(text)["target_accuracy"] == report.target_accuracy
    with pytest.raises(ConfigError, match="must be a new folder"):
        adapt(config("mmd", out=str(tmp_path / "run")), quiet=True)


def test_trained_weights_stay_frozen_below_a_bottleneck(config, domains, tmp_path):
    import torch

    from edgefs import adapt, finetune
    from edgefs.checkpoint import load_checkpoint
    from edgefs.methods import FinetuneConfig

    first = FinetuneConfig(
        root=str(domains[0]), out=str(tmp_path / "first"), backbone="lenet", epochs=3, batch=8, lr=3e-3, threads=1
    )
    trained = finetune(first, quiet=True).best
    report = adapt(config(init_from=str(trained), out=str(tmp_path / "run"), seeds=1, bottleneck=16), quiet=True)
    before, after = (load_checkpoint(path).method.backbone for path in (trained, report.best))
    assert after.dim == 16
    for name, tensor in before.state_dict().items():
        assert torch.equal(tensor, after.backbone.state_dict()[name])


def test_other_classes_in_the_target_are_named(config, write_pictures, tmp_path):
    from edgefs import adapt

    other = write_pictures(tmp_path / "other", names=("ant", "bee", "dog"))
    with pytest.raises(DataError, match=r"other lacks cat and .*source lacks dog; leave such classes out"):
        adapt(config(target=str(other)), quiet=True)
    with pytest.raises(DataError, match="other lacks cat"):
        adapt(config(target_labels=str(other)), quiet=True)
    (other / "stray.png").write_bytes((other / "ant" / "00.png").read_bytes())
    with pytest.raises(DataError, match="1 pictures beside the folders ant, bee, dog"):
        adapt(config(target=str(other)), quiet=True)
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "only.png").write_bytes((other / "ant" / "00.png").read_bytes())
    with pytest.raises(DataError, match="at least two pictures"):
        adapt(config(target=str(tmp_path / "one")), quiet=True)

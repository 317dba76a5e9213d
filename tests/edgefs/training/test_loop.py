"""The loop: learns, resumes bit by bit, stops on NaN with a good checkpoint, refuses what cannot work."""

import csv
import os
import signal
import threading

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from edgefs.checkpoint import load_checkpoint, load_state  # noqa: E402
from edgefs.errors import CheckpointMissing, ConfigError, DataError, NotFinite  # noqa: E402
from edgefs.evaluation.validation import validation_accuracy  # noqa: E402
from edgefs.meta.protonet import ProtoNet  # noqa: E402
from edgefs.methods import META, config_of  # noqa: E402
from edgefs.methods.recipe import read_recipe  # noqa: E402
from edgefs.training.loop import Run, train  # noqa: E402


def weights(out):
    return load_state(out / "state.pt")["method"]


@pytest.mark.parametrize("method", META)
def test_every_method_trains_validates_and_leaves_a_checkpoint_that_loads(small_config, tmp_path, method):
    report = train(small_config(method), quiet=True)
    assert (report.steps, report.stopped) == (6, "finished")
    assert 20 < report.val.mean <= 100
    assert load_checkpoint(report.best).config.method == method
    rows = list(csv.DictReader((tmp_path / "run" / "log.csv").read_text().splitlines()))
    assert [row["step"] for row in rows] == ["3", "6"]
    assert (tmp_path / "run" / "curves.png").stat().st_size > 1000


def test_training_learns(small_config):
    report = train(small_config(steps=60, val_every=20, n_way=8, val_shot=1), quiet=True)
    assert report.val.mean > 80


@pytest.mark.parametrize("method", ["protonet", "maml", "reptile"])
def test_a_resumed_run_ends_with_the_same_bits(small_config, tmp_path, monkeypatch, method):
    options = {"augment": ("mirror", "flip", "shift", "warp", "colour")}
    train(small_config(method, out=str(tmp_path / "whole"), **options), quiet=True)
    config = small_config(method, out=str(tmp_path / "parts"), **options)
    original = Run._validate

    def killed(run):
        original(run)
        if run.step == 3:
            run._save_state()
            raise KeyboardInterrupt

    monkeypatch.setattr(Run, "_validate", killed)
    with pytest.raises(KeyboardInterrupt):
        train(config, quiet=True)
    monkeypatch.setattr(Run, "_validate", original)
    torch.manual_seed(999)
    assert train(config, resume=True, quiet=True).steps == 6
    whole, parts = (load_state(tmp_path / name / "state.pt") for name in ("whole", "parts"))
    assert all(torch.equal(value, parts["method"][name]) for name, value in whole["method"].items())
    for mine, theirs in zip(whole["optimiser"]["state"].values(), parts["optimiser"]["state"].values(), strict=False):
        assert all(value is theirs[name] or torch.equal(value, theirs[name]) for name, value in mine.items())
    assert whole["best"] == parts["best"]
    assert (tmp_path / "whole" / "best.safetensors").read_bytes()[-1000:] == (
        tmp_path / "parts" / "best.safetensors"
    ).read_bytes()[-1000:]
    assert len(list(csv.DictReader((tmp_path / "parts" / "log.csv").read_text().splitlines()))) == 2


def test_a_nan_stops_the_run_names_the_episode_and_keeps_the_checkpoint(small_config, tmp_path, monkeypatch):
    config, original = small_config(), ProtoNet.gradients

    def poisoned(method, tasks):
        loss, accuracies = original(method, tasks)
        if tasks.first == 4:
            next(method.parameters()).grad[0] = float("nan")
        return loss, accuracies

    monkeypatch.setattr(ProtoNet, "gradients", poisoned)
    with pytest.raises(NotFinite, match=r"step 4 \(episodes 4 to 4, seed 0\)"):
        train(config, quiet=True)
    assert all(torch.isfinite(value).all() for value in weights(tmp_path / "run").values())
    assert load_checkpoint(tmp_path / "run" / "best.safetensors").card["figures"]["step"] == 3


def test_sigterm_ends_the_run_after_the_step_with_its_state_saved(small_config, tmp_path, monkeypatch):
    original = Run._train_step

    def terminated(run):
        original(run)
        if run.step == 2:
            os.kill(os.getpid(), signal.SIGTERM)

    assert threading.current_thread() is threading.main_thread()
    monkeypatch.setattr(Run, "_train_step", terminated)
    report = train(small_config(), quiet=True)
    assert (report.stopped, report.steps) == ("interrupted", 2)
    assert load_state(tmp_path / "run" / "state.pt")["step"] == 2


def test_validation_without_improvement_ends_the_run(small_config):
    report = train(small_config(lr=0.0, steps=100, val_every=1, patience=2), quiet=True)
    assert (report.stopped, report.steps) == ("no improvement", 3)


def test_a_run_is_not_overwritten_and_resumes_only_with_its_own_config(small_config):
    train(small_config(), quiet=True)
    with pytest.raises(ConfigError, match="--resume"):
        train(small_config(), quiet=True)
    with pytest.raises(ConfigError, match=r"lr 0\.001 -> 0\.1"):
        train(small_config(lr=0.1), resume=True, quiet=True)


def test_resuming_nothing_is_an_error(small_config):
    with pytest.raises(CheckpointMissing, match="without --resume"):
        train(small_config(), resume=True, quiet=True)


@pytest.mark.parametrize(
    ("options", "text"),
    [({"n_way": 40}, "needs 40 classes, but there are 12"), ({"n_query": 8}, "needs 9 images in every class")],
)
def test_impossible_episodes_are_refused_before_training(small_config, tmp_path, options, text):
    with pytest.raises(DataError, match=text):
        train(small_config(**options), quiet=True)
    assert not (tmp_path / "run").exists()


def test_plain_lines_are_printed_where_there_is_no_terminal(small_config, capsys):
    train(small_config())
    lines = capsys.readouterr().err.splitlines()
    assert any("step 6/6" in line and "val 3-way 1-shot" in line and "±" in line and "left" in line for line in lines)


def test_a_recipe_is_a_config_and_options_override_it(tmp_path):
    recipe = tmp_path / "r.toml"
    recipe.write_text('[train]\nmethod = "maml"\ndata = "omniglot"\nlr = 0.002\naugment = ["shift"]\n')
    config = read_recipe(recipe, steps=7)
    assert (config.method, config.lr, config.augment, config.steps, config.tasks) == ("maml", 0.002, ("shift",), 7, 4)
    with pytest.raises(ConfigError, match=r"\[train\]"):
        read_recipe(_written(tmp_path / "bad.toml", "x = 1"))
    with pytest.raises(ConfigError, match="there is speed"):
        read_recipe(_written(tmp_path / "odd.toml", '[train]\nmethod = "maml"\ndata = "omniglot"\nspeed = 9\n'))


def _written(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"method": "snail"}, "protonet, classifier, maml"),
        ({"method": "maml", "bf16": True}, "spoils the meta-gradient"),
        ({"method": "maml", "val_way": 20}, "val_way must equal n_way"),
        (
            {"method": "protonet", "temperature": 0},
            "temperature must be > 0 and lr ≥ 0, got temperature 0 and lr 0.001",
        ),
        ({"method": "maml", "lr": -1}, "lr ≥ 0, got lr -1"),
        ({"method": "protonet", "steps": 0}, "steps must be at least 1"),
        ({"method": "protonet", "schedule": "step"}, "cosine, linear, constant"),
    ],
)
def test_configs_that_cannot_work_are_refused(options, text):
    with pytest.raises(ConfigError, match=text):
        config_of(**{"data": "omniglot", **options})


def test_a_random_network_is_at_chance_on_noise(small_config):
    run = Run(small_config(), resume=False, quiet=True)
    run.val_set.images[:] = np.random.default_rng(0).integers(0, 256, run.val_set.images.shape)
    found = validation_accuracy(run.method, run.config, run.val_sampler, run.val_loader, "cpu")
    assert found.mean == pytest.approx(100 / 3, abs=8)

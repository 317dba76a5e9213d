"""`edgefs train` and `edgefs evaluate`, from the shell's point of view."""

import argparse
import dataclasses
import subprocess
import sys

import numpy as np
import pytest

from edgefs.cli.commands import evaluate as evaluate_command
from edgefs.cli.commands import train as train_command
from edgefs.errors import ConfigError, DataError
from edgefs.methods import META


def parsed(module, *words):
    parser = argparse.ArgumentParser()
    module.configure(parser)
    parser.set_defaults(quiet=False)  # an option that every command has
    return parser.parse_args(list(words))


@pytest.fixture
def photos(tmp_path):
    cv2 = pytest.importorskip("cv2")
    for i in range(10):
        folder = tmp_path / "photos" / f"class{i}"
        folder.mkdir(parents=True)
        for k in range(5):
            cv2.imwrite(str(folder / f"{k}.png"), np.random.default_rng([i, k]).integers(0, 256, (16, 16), np.uint8))
    return str(tmp_path / "photos")


def test_every_field_of_a_config_is_an_option_and_every_option_a_field():
    args = parsed(train_command)
    fields = {field.name for kind in META.values() for field in dataclasses.fields(kind)}
    assert sorted([*args.config_fields, "method"]) == sorted(fields)
    assert set(args.config_fields) <= set(vars(args))


def test_an_option_of_another_method_is_refused():
    words = ("protonet", "--data", "omniglot", "--inner-lr", "0.1")
    with pytest.raises(ConfigError, match=r"options of protonet .* there is inner_lr"):
        train_command._config(parsed(train_command, *words))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--rate", "5%"), "--rate can only be given with --open-set"),
        (("--open-set", "--n-query", "3"), "--n-query must be left out with --open-set"),
    ],
)
def test_an_option_of_the_other_kind_of_evaluation_is_refused(words, message):
    with pytest.raises(ConfigError, match=message):
        evaluate_command.run(parsed(evaluate_command, "model.edgefs", "--data", "folder", *words))


def test_options_given_override_the_recipe_and_those_left_out_do_not(tmp_path):
    recipe = tmp_path / "r.toml"
    recipe.write_text('[train]\nmethod = "protonet"\ndata = "omniglot"\nsteps = 9\nbf16 = true\n')
    config = train_command._config(
        parsed(train_command, "--recipe", str(recipe), "--steps", "5", "--augment", "shift", "warp", "--no-bf16")
    )
    assert (config.method, config.steps, config.bf16, config.augment, config.n_way) == (
        "protonet",
        5,
        False,
        ("shift", "warp"),
        60,
    )


def test_a_method_or_data_left_out_is_said():
    with pytest.raises(ConfigError, match="method and data is not given"):
        train_command._config(parsed(train_command))


def test_help_needs_no_torch():
    code = (
        "import sys, argparse; sys.modules['torch'] = None\n"
        "from edgefs.cli.commands import train, evaluate\n"
        "for module in (train, evaluate): module.configure(argparse.ArgumentParser())"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.torch
def test_a_run_trained_from_the_shell_can_be_evaluated(photos, tmp_path, capsys):
    pytest.importorskip("torch")
    words = f"protonet --data folder --root {photos} --out {tmp_path}/run --size 16 --n-way 3 --val-way 2"
    words += " --n-query 2 --val-query 2"
    args = parsed(
        train_command, *words.split(), "--steps", "3", "--val-every", "3", "--val-episodes", "10", "--threads", "1"
    )
    report = train_command.run(args)
    assert (report["steps"], report["config"]["n_way"]) == (3, 3)
    words = f"{report['best']} --data folder --root {photos} --split all --ways 2 --shots 1 --n-query 2 --episodes 20"
    found = evaluate_command.run(parsed(evaluate_command, *words.split()))
    assert [entry["head"] for entry in found["accuracies"]] == ["trained", "UN", "L2N", "CL2N"]
    printed = capsys.readouterr().out
    assert "±" in printed
    assert "nearest class mean on features as they are (UN)" in printed
    words = f"{report['best']} --data folder --root {photos} --split all --ways 2 --shots 1 --episodes 20"
    with pytest.raises(DataError, match="--n-query"):
        evaluate_command.run(parsed(evaluate_command, *words.split()))

"""Every recipe can be read and says what was measured; a committed checkpoint is small and what its recipe made."""

from pathlib import Path

import pytest

from edgefs.methods.recipe import read_recipe, toml_tables

RECIPES = Path(__file__).parents[3] / "recipes"
TOMLS = sorted(RECIPES.glob("*.toml"))
CHECKPOINTS = sorted((RECIPES / "checkpoints").glob("*.safetensors"))
FREE = {"root", "out", "threads", "checkpoint_minutes", "device", "bf16", "n_classes", "init_from"}


def tables(path):
    return toml_tables(path.read_text())


@pytest.mark.parametrize("path", TOMLS, ids=lambda path: path.stem)
def test_a_recipe_is_a_config_and_says_what_was_measured_or_that_nothing_was(path):
    assert read_recipe(path).steps > 0
    measured = tables(path)["measured"]
    assert measured["command"].startswith("edgefs train --recipe recipes/" + path.name)
    if measured["trained"]:
        assert measured["accuracy"]
        assert measured["minutes"] > 0
        assert measured["peak_memory_mb"] > 0


def test_committed_checkpoints_are_small_and_named_after_their_recipe():
    for path in CHECKPOINTS:
        assert path.stat().st_size < 1_000_000
        assert (RECIPES / f"{path.stem}.toml").exists()


@pytest.mark.torch
@pytest.mark.parametrize("path", CHECKPOINTS, ids=lambda path: path.stem)
def test_a_committed_checkpoint_loads_and_was_trained_as_its_recipe_says(path):
    pytest.importorskip("torch")
    from edgefs.checkpoint import load_checkpoint

    trained = load_checkpoint(path).config.to_json()
    stated = read_recipe(RECIPES / f"{path.stem}.toml").to_json()
    assert trained["init_from"] == Path(stated["init_from"]).name
    assert {k: v for k, v in trained.items() if k not in FREE} == {k: v for k, v in stated.items() if k not in FREE}

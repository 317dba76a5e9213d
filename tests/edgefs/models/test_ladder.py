"""The ladder without torch: names, cards, the cache, the advice, and the commands that use it."""

import importlib.metadata
import json

import cv2
import pytest

from edgefs.cli import main
from edgefs.models.advice import FRAME_RATES, advise
from edgefs.models.cards import calibration_of, card_text, licence_of, measured
from edgefs.models.ladder import NAMES, RUNGS, rung_named
from edgefs.models.store import open_model, pulled_path
from runtime.bundle import Bundle
from runtime.errors import BundleCorrupt, BundleMissing, OptionError
from runtime.models import default_bundle


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache folder without any model in it."""
    monkeypatch.setenv("EDGEFS_MODEL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_small_is_the_embedded_default_and_needs_no_pull(cache):
    assert open_model("small").fingerprint == default_bundle().fingerprint
    with pytest.raises(OptionError, match="ships inside the package and needs no pull"):
        rung_named("small")


@pytest.mark.parametrize("name", RUNGS)
def test_a_model_that_was_not_pulled_names_the_two_commands(cache, name):
    with pytest.raises(BundleMissing, match=rf"pip install 'edgefs\[export,models\]'; .* edgefs models pull {name}"):
        open_model(name)


def test_an_unknown_model_is_refused_with_the_names_there_are(cache):
    with pytest.raises(OptionError, match="one of small, standard, large, but is 'huge'"):
        open_model("huge")
    with pytest.raises(OptionError, match="one of standard, large, but is 'huge'"):
        rung_named("huge")


def test_a_damaged_model_says_how_to_build_it_again(cache, tiny_bundle):
    tiny_bundle.save(pulled_path("large"))
    assert open_model("large").fingerprint == tiny_bundle.fingerprint
    model = pulled_path("large") / "model.onnx"
    model.write_bytes(model.read_bytes()[:-1])
    with pytest.raises(BundleCorrupt, match="Build the model again: edgefs models pull large"):
        open_model("large")


@pytest.mark.parametrize("name", RUNGS)
def test_every_rung_has_a_calibration_table_that_a_bundle_accepts(tiny_bundle, name):
    frames, embeddings = tiny_bundle.golden()
    bundle = Bundle.build(
        name=name,
        description="",
        preprocess=tiny_bundle.preprocess,
        metric="cosine",
        model=tiny_bundle.read("model.onnx"),
        golden_frames=frames,
        golden_embeddings=embeddings,
        calibration=calibration_of(name),
    )
    assert bundle.calibration == calibration_of(name)


@pytest.mark.parametrize("name", NAMES)
def test_every_card_states_licence_size_latency_and_accuracy(name):
    card = card_text(name)
    assert licence_of(name) in card
    for part in ("one frame, one thread", "size of the bundle", "Grocery shop photos, 5-way 1-shot", "strangers"):
        assert part in card
    assert measured()["models"][name]["engine_ms"] > 0


def test_the_packages_of_the_ladder_are_the_extra_models():
    wanted = {rung.package.replace("_", "-") for rung in RUNGS.values()}
    extra = [line for line in importlib.metadata.requires("edgefs") or () if "models" in line.partition("extra")[2]]
    if not extra:
        pytest.skip("edgefs was installed here before it had the extra models; do: pip install -e .")
    assert wanted <= {line.partition("=")[0].strip() for line in extra}


def test_advice_is_the_largest_model_that_keeps_up():
    fast, slow = advise({"small": 4.0, "standard": 15.0, "large": 30.0})
    assert (fast.fps, slow.fps) == FRAME_RATES
    assert (fast.model, fast.ms, fast.estimated) == ("large", 30.0, False)
    assert slow.model == "standard"
    assert "15 frames a second: up to --model large (30.0 ms a frame)" in fast.sentence


def test_advice_estimates_what_is_not_built_and_says_so():
    small = measured()["models"]["small"]["engine_ms"]
    advice = advise({"small": small / 10})[0]
    assert (advice.model, advice.estimated) == ("large", True)
    assert "estimated, to build it: edgefs models pull large" in advice.sentence
    assert advise({"small": 1000.0})[0].model is None
    assert "no model of the ladder keeps up" in advise({"small": 1000.0})[0].sentence


def test_doctor_tune_says_which_model_keeps_up(cache, tiny_bundle, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("edgefs.bench.tune.SECONDS", 0.02)
    tiny_bundle.save(pulled_path("large"))
    out = tmp_path / "doctor.json"
    main(["doctor", "--tune", "--json", str(out)])
    rates = {advice["fps"]: advice for advice in json.loads(out.read_text())["ladder"]}
    assert set(rates) == set(FRAME_RATES)
    assert (rates[15]["model"], rates[15]["estimated"]) == ("large", False)  # the stand-in is tiny, so it keeps up
    assert "15 frames a second: up to --model large" in capsys.readouterr().out


def test_ls_and_show_say_what_is_built_here(cache, tiny_bundle, capsys, tmp_path):
    tiny_bundle.save(pulled_path("standard"))
    out = tmp_path / "ls.json"
    assert main(["models", "ls", "--json", str(out)]) == 0
    ready = {model["name"]: model["ready"] for model in json.loads(out.read_text())["models"]}
    assert ready == {"small": True, "standard": True, "large": False}
    assert "edgefs models pull large" in capsys.readouterr().out
    assert main(["models", "show", "large"]) == 0
    assert "Not built on this computer yet: edgefs models pull large" in capsys.readouterr().out
    assert main(["models", "show", "standard"]) == 0
    assert str(pulled_path("standard")) in capsys.readouterr().out


def test_a_command_with_a_model_that_is_not_built_ends_with_the_two_commands(cache, capsys):
    assert main(["demo", "--model", "large"]) == 1
    assert "edgefs models pull large" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["demo", "--model", "huge"])
    assert "must be one of small, standard, large" in capsys.readouterr().err


def test_a_gallery_that_goes_up_the_ladder_keeps_every_class(cache, tiny, tmp_path, monkeypatch, capsys):
    """The pulled model is a stand-in: what is tested is the swap by name, with its report."""
    monkeypatch.chdir(tmp_path)
    tiny.bundle(seed=1).save(pulled_path("standard"))
    for label, seed in {"mug": 0, "cup": 1}.items():
        (tmp_path / label).mkdir()
        for i, frame in enumerate(tiny.views(seed, 4)):
            cv2.imwrite(f"{label}/{i}.png", frame)
        assert main(["enroll", label, label, "--model", "small", "--engine", "onnxruntime"]) == 0
    assert main(["gallery", "swap", "--model", "standard", "--json", "swap.json"]) == 0
    report = json.loads((tmp_path / "swap.json").read_text())
    assert set(report["before"]) == set(report["after"]) == {"mug", "cup"}
    assert "named right before" in capsys.readouterr().out
    assert main(["recognize", "mug/0.png", "--model", "standard", "--json", "out.json"]) == 0
    assert main(["gallery", "swap", "--model", "small"]) == 0
    assert main(["gallery", "ls", "--json", "ls.json"]) == 0
    assert [c["label"] for c in json.loads((tmp_path / "ls.json").read_text())["classes"]] == ["mug", "cup"]

"""`engine="auto"` measures once and remembers its choice; a wrong entry costs speed and nothing else."""

import json

import pytest

from runtime.engines import choices, open_engine
from runtime.engines.base import cpus
from runtime.engines.choices import Choice, file, remember, remembered
from runtime.engines.fake import FakeEngine
from runtime.errors import EngineError

CHOICE = Choice("onnxruntime", "1.32.0", 1, "measured")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEFS_MODEL_CACHE", str(tmp_path / "models"))
    return tmp_path / "models"


def test_a_choice_is_returned_for_the_same_model_precision_and_threads(tiny_bundle, grey_bundle):
    assert remembered(tiny_bundle, "fp32") is None
    assert remember(tiny_bundle, "fp32", CHOICE)
    assert remembered(tiny_bundle, "fp32") == CHOICE
    assert remembered(tiny_bundle, "int8") is None
    assert remembered(tiny_bundle, "fp32", threads=2) is None
    assert remembered(grey_bundle, "fp32") is None


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"KEY": 3}', '{"KEY": {"engine": 1}}', "[" * 100_000],
)
def test_a_damaged_file_counts_as_empty_and_is_replaced(tiny_bundle, text):
    remember(tiny_bundle, "fp32", CHOICE)
    (key,) = json.loads(file().read_text())
    file().write_text(text.replace("KEY", key))
    assert remembered(tiny_bundle, "fp32") is None
    assert remember(tiny_bundle, "fp32", CHOICE)
    assert remembered(tiny_bundle, "fp32") == CHOICE


@pytest.mark.parametrize("threads", [0, -1, "2", 1.5, True, 4096])
def test_an_impossible_thread_count_is_ignored(tiny_bundle, threads):
    remember(tiny_bundle, "fp32", Choice("onnxruntime", "1", threads, "x"))
    assert remembered(tiny_bundle, "fp32") is None


def test_the_file_keeps_a_limited_number_of_choices(tiny_bundle, monkeypatch):
    monkeypatch.setattr(choices, "MAX_CHOICES", 3)
    for precision in "abcde":
        remember(tiny_bundle, precision, CHOICE)
    assert [remembered(tiny_bundle, precision) is not None for precision in "abcde"] == [False, False, True, True, True]


def test_a_folder_that_cannot_be_written_is_no_error(tiny_bundle, folder):
    folder.write_text("a file where the folder should be")
    assert not remember(tiny_bundle, "fp32", CHOICE)
    assert remembered(tiny_bundle, "fp32") is None


def test_auto_measures_once_and_then_opens_only_the_fastest(tiny_bundle, monkeypatch):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("openvino")
    first = open_engine(tiny_bundle, threads=1)
    first.close()
    opened = []
    monkeypatch.setattr("runtime.engines.opening._open", lambda _, name, *__: opened.append(name) or FakeEngine(32))
    monkeypatch.setattr(
        "runtime.engines.opening.remembered",
        lambda *_: Choice(first.info.name, FakeEngine(32).info.version, None, "measured"),
    )
    second = open_engine(tiny_bundle, threads=1)
    assert opened == [first.info.name]
    assert second.info.reason == "remembered: measured"


def test_auto_measures_again_if_the_version_changed_or_the_engine_was_removed(tiny_bundle):
    pytest.importorskip("onnxruntime")
    for stale in (
        Choice("onnxruntime", "0.1", None, "x"),
        Choice("tensorrt", "1", None, "x"),
        Choice("evil", "1", 1, "x"),
    ):
        remember(tiny_bundle, "fp32", stale)
        engine = open_engine(tiny_bundle)
        assert "verified" in engine.info.reason
        assert not engine.info.reason.startswith("remembered")
        engine.close()


def test_nothing_is_remembered_while_an_engine_is_missing(python, tiny_bundle_dir):
    """The missing engine may be installed later and be faster."""
    pytest.importorskip("onnxruntime")
    code = """
import sys
sys.modules["openvino"] = None
from runtime.bundle import Bundle
from runtime.engines import open_engine
open_engine(Bundle.load(sys.argv[1])).close()
"""
    python(code, tiny_bundle_dir)
    assert not file().exists()


def test_tuned_threads_are_the_default_and_an_argument_overrides_them(tiny_bundle):
    version = pytest.importorskip("onnxruntime").__version__
    remember(tiny_bundle, "fp32", Choice("onnxruntime", version, cpus(), "tuned"))
    tuned = open_engine(tiny_bundle)
    asked = open_engine(tiny_bundle, threads=1)
    assert (tuned.info.threads, asked.info.threads) == (cpus(), 1)
    tuned.close()
    asked.close()


def test_a_remembered_engine_must_still_reproduce_the_golden_frames(tiny_bundle, monkeypatch):
    version = pytest.importorskip("onnxruntime").__version__
    remember(tiny_bundle, "fp32", Choice("onnxruntime", version, None, "x"))
    monkeypatch.setattr(
        "runtime.engines.opening.agreement", lambda *_: FakeEngine(2).embed(tiny_bundle.golden()[0])[:1, :1] * 0
    )
    with pytest.raises(EngineError, match="golden frames"):
        open_engine(tiny_bundle)

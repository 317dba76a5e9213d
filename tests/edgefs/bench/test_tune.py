"""`edgefs doctor --tune` measures engines and threads and leaves the best for `engine="auto"`."""

import json

import pytest

from edgefs.bench import tune
from edgefs.bench.tune import Setting, choose
from edgefs.cli import main
from edgefs.errors import BenchError
from runtime.engines import open_engine
from runtime.engines.choices import remembered


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def settings(*rows):
    return [Setting(engine, "1", threads, p50_ms) for engine, threads, p50_ms in rows]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("a", 1, 2.0)], ("a", 1)),
        ([("a", 1, 2.0), ("b", 1, 1.9)], ("b", 1)),
        ([("a", 1, 2.0), ("a", 2, 1.9)], ("a", 1)),  # a second core for 5 %: the camera needs it more
        ([("a", 1, 2.0), ("a", 2, 1.2)], ("a", 2)),
        ([("a", 1, 2.0), ("a", 2, 1.2), ("a", 4, 1.1)], ("a", 2)),
        ([("a", 2, 1.0), ("b", 2, 0.99)], ("b", 2)),
    ],
)
def test_more_threads_must_pay(rows, expected):
    best = choose(settings(*rows))
    assert (best.engine, best.threads) == expected


def test_auto_takes_what_was_tuned(tiny_bundle_dir, tiny_bundle, tmp_path, capsys, monkeypatch):
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(tune, "SECONDS", 0.05)
    assert main(["doctor", "--bundle", str(tiny_bundle_dir), "--tune", "--json", str(tmp_path / "doctor.json")]) == 0
    tuned = json.loads((tmp_path / "doctor.json").read_text())["tuned"]
    assert tuned["kept"] is True
    assert {row["threads"] for row in tuned["settings"]} >= {1}
    engine = open_engine(tiny_bundle)
    assert (engine.info.name, engine.info.threads) == (tuned["best"]["engine"], tuned["best"]["threads"])
    assert engine.info.reason.startswith("remembered: fastest by doctor --tune")
    engine.close()
    assert 'engine="auto" uses' in capsys.readouterr().out


def test_without_an_engine_there_is_nothing_to_tune(tiny_bundle, monkeypatch):
    monkeypatch.setattr(tune, "auto_engines", list)
    with pytest.raises(BenchError, match="none does"):
        tune.tune(tiny_bundle)
    assert remembered(tiny_bundle, "fp32") is None

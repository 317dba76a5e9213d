"""A published result is one small file with machine, versions and figures, and names nothing else of the machine."""

import json
from pathlib import Path

from edgefs.bench.publish import SCHEMA, as_published, without_samples
from edgefs.bench.run import Plan


def test_a_published_result_has_machine_versions_options_and_figures(report):
    found = json.loads(as_published(report, Plan(threads=1, seconds=0.2)))
    assert found["schema"] == SCHEMA
    assert found["host"] == report["machine"]
    assert found["options"]["threads"] == 1
    assert found["results"][0]["recognize_p50_ms"] == report["results"][0]["recognize_p50_ms"]


def test_it_holds_no_single_call_no_comparison_and_no_folder_of_the_machine(report):
    report["changes"] = [{"engine": "onnxruntime"}]
    report["skipped"] = [{"engine": "tensorrt", "precision": "fp16", "why": f"{Path.home()}/shop.edgefs has no plan"}]
    text = as_published(report, Plan())
    found = json.loads(text)
    assert found["skipped"] == [{"engine": "tensorrt", "precision": "fp16"}]
    assert "changes" not in found
    assert "samples_ms" not in text
    assert str(Path.home()) not in text
    assert len(text) < 10_000


def test_the_machine_is_stored_apart_from_the_figures(report):
    found = without_samples(report)
    assert "machine" not in found
    assert "blocks" not in found["results"][0]

"""A published result is one small file with machine, versions and figures, and names nothing else of the machine."""

import json

import pytest

from edgefs.reports.publish import SCHEMA, as_published, without_samples

OPTIONS = {"engines": ("all",), "threads": 1, "seconds": 0.2}


@pytest.fixture
def report():
    row = {"engine": "onnxruntime", "precision": "fp32", "recognize_p50_ms": 4.1}
    return {
        "schema": "edgefs-bench-2",
        "machine": {"machine": "AMD EPYC, 2 CPUs, Linux x86_64", "versions": {"edgefs": "0.1.0"}},
        "results": [{**row, "samples_ms": {"engine": [3.5] * 1000}, "blocks": {"engine_ms": [3.5] * 100}}],
        "skipped": [{"engine": "tensorrt", "precision": "fp16", "why": "/home/ana/shop.edgefs has no plan"}],
        "changes": [{"engine": "onnxruntime"}],
    }


def test_a_published_result_has_machine_versions_options_and_figures(report):
    found = json.loads(as_published(report, OPTIONS))
    assert found["schema"] == SCHEMA
    assert found["host"] == report["machine"]
    assert found["options"]["threads"] == 1
    assert found["results"] == [{"engine": "onnxruntime", "precision": "fp32", "recognize_p50_ms": 4.1}]


def test_it_holds_no_comparison_and_no_folder_of_the_machine(report):
    text = as_published(report, OPTIONS)
    assert json.loads(text)["skipped"] == [{"engine": "tensorrt", "precision": "fp16"}]
    assert "changes" not in text
    assert "/home/ana" not in text


def test_the_machine_is_stored_apart_from_the_figures(report):
    found = without_samples(report)
    assert "machine" not in found
    assert "blocks" not in found["results"][0]

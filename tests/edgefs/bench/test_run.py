"""A run gives one report, which fits its published schema."""

import json
from pathlib import Path

import pytest

import edgefs.bench
from edgefs.bench.run import SCHEMA, Plan, bench
from edgefs.cli.output import plain
from edgefs.errors import BenchError
from edgefs.reports.progress import silent

jsonschema = pytest.importorskip("jsonschema")
PUBLISHED = json.loads((Path(edgefs.bench.__file__).parent / "schema.json").read_text())


def test_the_report_fits_the_published_schema(report):
    jsonschema.validate(plain(report), PUBLISHED)
    (row,) = report["results"]
    assert report["schema"] == SCHEMA
    assert row["engine_p50_ms"] > 0
    assert row["recognize_p50_ms"] > row["engine_p50_ms"] * 0.5
    assert row["opening"]["cold"]["peak_memory_mb"] > 10


@pytest.mark.parametrize("damage", [{"schema": "x"}, {"results": []}, {"surprise": 1}])
def test_the_schema_refuses_a_damaged_report(report, damage):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**plain(report), **damage}, PUBLISHED)


def test_a_result_that_cannot_be_compared_is_refused_before_anything_is_measured(tiny_bundle, report):
    report["machine"]["machine"] = "another machine"
    with pytest.raises(BenchError, match="results of one machine, but the old one is of another machine"):
        bench(tiny_bundle, Plan(engines=("none such",), threads=1), silent, report)


def test_on_a_device_openvino_alone_is_measured_and_the_report_names_the_device(tiny_bundle):
    pytest.importorskip("openvino")
    plan = Plan(scenarios=("offline",), batches=(2,), threads=1, device="AUTO", seconds=0.2)
    report = bench(tiny_bundle, plan, silent)
    jsonschema.validate(plain(report), PUBLISHED)
    (row,) = report["results"]
    assert (row["engine"], row["device"], report["device"]) == ("openvino", "CPU", "AUTO")
    with pytest.raises(BenchError, match="the same device, but the old result has AUTO and this has the default"):
        bench(tiny_bundle, Plan(threads=1), silent, report)

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

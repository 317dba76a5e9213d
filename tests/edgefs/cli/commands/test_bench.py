"""`edgefs bench`, from the shell: the report fits its published schema, and bad input is refused in words."""

import csv
import io
import json
import re
from pathlib import Path

import pytest

import edgefs.bench
from edgefs.bench.page import render
from edgefs.bench.tables import as_text, to_csv
from edgefs.cli import main

jsonschema = pytest.importorskip("jsonschema")
pytest.importorskip("onnxruntime")
SCHEMA = json.loads((Path(edgefs.bench.__file__).parent / "schema.json").read_text())


@pytest.fixture(scope="module")
def report(tiny_bundle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bench")
    tiny_bundle.save(folder / "tiny.edgefs")
    words = (
        "bench {0}/tiny.edgefs --engines onnxruntime --seconds 0.2 --threads 1 --scenario all --cameras 2 --batch 1,4"
    )
    files = "--json {0}/new.json --csv {0}/new.csv --html {0}/new.html"
    assert main([part.format(folder) for part in f"{words} {files}".split()]) == 0
    return folder


def test_the_report_fits_the_published_schema(report):
    found = json.loads((report / "new.json").read_text())
    jsonschema.validate(found, SCHEMA)
    (row,) = found["results"]
    assert row["engine_p50_ms"] > 0
    assert row["recognize_p50_ms"] > row["engine_p50_ms"] * 0.5
    assert row["camera"]["recognised"] > 0
    assert {(rate["threads"], rate["batch"]) for rate in row["offline"]} >= {(1, 1), (1, 4)}
    assert row["opening"]["cold"]["peak_memory_mb"] > 10


def test_the_schema_would_notice(report):
    found = json.loads((report / "new.json").read_text())
    for damage in ({"schema": "x"}, {"results": []}, {"surprise": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**found, **damage}, SCHEMA)


def test_csv_has_one_line_for_each_engine_and_precision(report):
    rows = list(csv.DictReader(io.StringIO((report / "new.csv").read_text())))
    found = json.loads((report / "new.json").read_text())["results"]
    assert [row["engine"] for row in rows] == [row["engine"] for row in found]
    assert float(rows[0]["engine_p50_ms"]) == found[0]["engine_p50_ms"]
    assert rows[0]["p99_ms"] == ("" if found[0]["p99_ms"] is None else str(found[0]["p99_ms"]))


def test_the_page_has_its_plots_and_refers_to_nothing_outside(report):
    page = (report / "new.html").read_text()
    assert page.count("<svg") == 2  # distribution and scaling: accuracy and growth were not measured
    assert "http" not in page.replace('http-equiv="', "")
    assert "<script" not in page


def test_names_from_outside_are_escaped(report):
    found = json.loads((report / "new.json").read_text())
    found["bundle"]["name"] = found["warnings"][:0] or "<script>alert(1)</script>"
    found["warnings"] = ["<b>x"]
    assert "<script" not in render(found)
    assert "<b>x" not in render(found)


def test_growth_and_accuracy_have_plots_and_tables_where_they_were_measured(report):
    found = json.loads((report / "new.json").read_text())
    grown = {"shots": 10, "classes": 1, "match_p50_ms": 0.1, "match_p90_ms": 0.2, "enroll_shot_p50_ms": None}
    found["growth"] = [grown | {"shots": n, "fill_s": 0.1, "embeddings_mb": 1.0} for n in (10, 100)]
    found["accuracy"] = [
        {"target": "onnx", "precision": "fp32", "n_way": 5, "n_shot": 1, "accuracy": 80.0, "interval": 1.0}
    ]
    found["results"][0]["uncontended_p50_ms"] = 2.0
    jsonschema.validate(found, SCHEMA)
    assert render(found).count("<svg") == 4
    assert any("match p50" in part for part in as_text(found))


def test_a_result_compared_with_itself_has_not_changed(report, capsys):
    new = report / "new.json"
    found = json.loads(new.read_text())
    found["results"][0]["blocks"] = {"engine_ms": [1.0] * 40, "recognize_ms": [1.0] * 40}
    (report / "old.json").write_text(json.dumps(found))
    words = f"bench {report}/tiny.edgefs --engines onnxruntime --seconds 0.1 --threads 1 --no-opening"
    assert main([*words.split(), "--compare", str(report / "old.json"), "--json", str(report / "third.json")]) == 0
    changes = json.loads((report / "third.json").read_text())["changes"]
    assert [change["metric"] for change in changes] == ["engine", "recognize", "recognize over engine"]
    assert re.search(rf"onnxruntime fp32 recognize +{changes[1]['result']} ", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--engines tensorflow", "--engines must be all or some of onnxruntime"),
        ("--precisions int4", "none of those asked for opens"),
        ("--compare {0}/nothing.json", "cannot be read"),
        ("--compare {0}/tiny.edgefs/manifest.json", "but is another file"),
        ("--engines onnxruntime --seconds 0.1 --no-opening --csv {0}/no/folder.csv", "cannot be written"),
    ],
)
def test_bad_input_is_refused_as_text(report, capsys, words, says):
    assert main(f"bench {report}/tiny.edgefs {words}".format(report).split()) == 1
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("words", ["--scenario idle", "--batch 0", "--batch 1,x", "--seconds -1", "--engines ,"])
def test_impossible_options_are_usage_errors(words):
    with pytest.raises(SystemExit, match="2"):
        main(["bench", *words.split()])


def test_csv_of_a_report_without_openings_has_empty_cells(report):
    found = json.loads((report / "new.json").read_text())
    del found["results"][0]["opening"]
    (row,) = csv.DictReader(io.StringIO(to_csv(found)))
    assert row["cold_load_ms"] == ""

"""The tables of a report on the terminal, and the report as CSV."""

import csv
import io

from edgefs.bench.tables import as_text, tables, to_csv


def test_csv_has_one_line_for_each_engine_and_precision(report):
    rows = list(csv.DictReader(io.StringIO(to_csv(report))))
    found = report["results"]
    assert [row["engine"] for row in rows] == [row["engine"] for row in found]
    assert float(rows[0]["engine_p50_ms"]) == found[0]["engine_p50_ms"]
    assert rows[0]["p99_ms"] == ("" if found[0]["p99_ms"] is None else str(found[0]["p99_ms"]))


def test_csv_of_a_report_without_openings_has_empty_cells(report):
    del report["results"][0]["opening"]
    (row,) = csv.DictReader(io.StringIO(to_csv(report)))
    assert row["cold_load_ms"] == ""


def test_every_row_of_a_table_has_a_cell_for_each_column(report):
    found = list(tables(report))
    assert {each.title for each in found if each.rows} >= {"One frame after the other", "Several cameras"}
    for each in found:
        assert all(len(row) == len(each.header) for row in each.rows)


def test_the_text_has_tables_warnings_and_what_was_left_out(report):
    report["warnings"] = ["the machine was busy"]
    report["skipped"] = [{"engine": "tensorrt", "precision": "fp16", "why": "not installed"}]
    text = "\n".join(as_text(report))
    assert "Until the first answer" in text
    assert "A growing gallery" not in text  # it was not measured
    assert "left out: tensorrt fp16: not installed\nwarning: the machine was busy" in text


def test_a_changed_figure_is_named_under_its_table(report):
    change = {"engine": "onnxruntime", "precision": "fp32", "metric": "engine", "ratio": 1.2, "low": 1.1, "high": 1.3}
    report["changes"] = [{**change, "allowance": 0.05, "result": "slower"}]
    assert "Changed: onnxruntime fp32 engine: slower." in "\n".join(as_text(report))

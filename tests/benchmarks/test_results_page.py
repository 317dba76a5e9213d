"""docs/results.md and the tables of the README are generated from the stored results, and up to date."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def results_page():
    """benchmarks/results_page.py, which is not installed."""
    sys.path.insert(0, str(ROOT))
    try:
        return importlib.import_module("benchmarks.results_page")
    finally:
        sys.path.remove(str(ROOT))


def test_the_results_page_is_up_to_date(results_page):
    assert results_page.PAGE.read_text() == results_page.page(results_page.newest(), results_page.published())


def test_the_tables_of_the_readme_are_up_to_date(results_page):
    text = results_page.README.read_text()
    assert results_page.readme(text, results_page.newest()) == text
    assert "<!-- accuracy -->\n\n| " in text
    assert "<!-- latency -->\n\n| " in text


def test_only_the_newest_result_of_a_theme_is_kept(results_page):
    names = [path.stem[: -len("2026-11-28")] for path in results_page.RESULTS.glob("*.json")]
    assert sorted(names) == sorted(set(names))


def test_every_theme_is_explained(results_page):
    assert set(results_page.newest()) <= set(results_page.ABOUT)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123456, "0.1235"),
        (12345.6, "12,346"),
        ([86.25, 0.51], "86.25 ± 0.51"),
        (True, "yes"),
        (None, "-"),
        ([1, 2], "1, 2"),
    ],
)
def test_a_cell_is_short(results_page, value, text):
    assert results_page.cell(value) == text


def test_similar_objects_become_the_rows_of_one_table(results_page):
    result = {"runs": [{"cameras": 4, "dropped": 0}, {"cameras": 8, "dropped": 3}], "bundle": "tiny"}
    found = list(results_page.tables("pipeline", json.loads(json.dumps(result))))
    assert found == [
        ("pipeline", ["figure", "value"], [["bundle", "tiny"]]),
        ("runs", ["cameras", "dropped"], [["4", "0"], ["8", "3"]]),
    ]


# -- results of `edgefs bench --publish`


PUBLISHED = {
    "schema": "edgefs-bench-published-1",
    "host": {
        "machine": "ARM Cortex-A78AE, 6 CPUs, Linux aarch64",
        "board": "NVIDIA Jetson Orin Nano",
        "python": "3.10.12",
        "versions": {"edgefs": "0.1.0", "onnxruntime": "1.23.0"},
        "date": "2026-11-29T10:00:00+00:00",
    },
    "options": {"engines": ["all"]},
    "bundle": {"name": "shop", "fingerprint": "0", "input": [144, 144, 3]},
    "seconds": 10.0,
    "warnings": ["the machine was busy: other processes used 1.0 CPUs; quote the uncontended figures"],
    "results": [
        {"engine": "onnxruntime", "precision": "fp32", "recognize_p50_ms": 4.0814, "stages_ms": {"resize": 0.31}},
        {"engine": "onnxruntime", "precision": "int8", "recognize_p50_ms": 2.5, "stages_ms": {"resize": 0.3}},
    ],
}


def test_a_published_result_has_a_section_with_its_machine_versions_doubts_and_figures(results_page, tmp_path):
    (tmp_path / "jetson.json").write_text(json.dumps(PUBLISHED))
    text = results_page.page({}, results_page.published(tmp_path))
    section = text.partition("## Published: jetson\n")[2]
    assert "shop on NVIDIA Jetson Orin Nano, ARM Cortex-A78AE, 6 CPUs, Linux aarch64, 2026-11-29" in section
    assert "Python 3.10.12, edgefs 0.1.0, onnxruntime 1.23.0. The machine was busy:" in section
    assert "| onnxruntime | fp32 | 4.081 | 0.31 |" in section


def test_a_file_that_is_no_published_result_is_refused(results_page, tmp_path):
    (tmp_path / "old.json").write_text(json.dumps({"schema": "edgefs-bench-2"}))
    with pytest.raises(SystemExit, match=r"old.json must be written by `edgefs bench --publish`.* has edgefs-bench-2;"):
        results_page.published(tmp_path)

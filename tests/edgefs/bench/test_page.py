"""The page of a benchmark stands alone and has a plot for whatever was measured."""

import re

from edgefs.bench.page import growth_section, render


def test_the_page_has_its_plots_and_refers_to_nothing_outside(report):
    page = render(report)
    assert page.count("<svg") == 2  # distribution and scaling; accuracy and growth were not measured
    assert "http" not in page.replace('http-equiv="', "")
    assert "<script" not in page


def test_the_page_is_chinese_where_that_is_asked_for(report, monkeypatch):
    monkeypatch.setenv("EDGEFS_LANG", "zh")
    page = render(report | {"warnings": []})
    assert '<html lang="zh-Hans">' in page
    assert {"一帧接一帧", "时间用在哪里", "机器"} <= set(re.findall(r"<h2>([^<]*)</h2>", page))
    shown = re.sub(r"<style>.*?</style>", "", page, flags=re.S)
    assert re.findall(r"[A-Za-z]+ [a-z]+ [a-z]+", re.sub(r"<[^>]*>|&[^;]+;", "|", shown)) == []


def test_names_from_outside_are_escaped(report):
    report["bundle"]["name"] = "<script>alert(1)</script>"
    report["warnings"] = ["<b>x"]
    assert "<script" not in render(report)
    assert "<b>x" not in render(report)


def test_growth_and_accuracy_have_plots_and_tables_where_they_were_measured(report):
    grown = {"shots": 10, "classes": 1, "match_p50_ms": 0.1, "match_p90_ms": 0.2, "enroll_shot_p50_ms": None}
    report["growth"] = [grown | {"shots": n, "fill_s": 0.1, "embeddings_mb": 1.0} for n in (10, 100)]
    measured = {"target": "onnx", "precision": "fp32", "n_way": 5, "n_shot": 1, "accuracy": 80.0, "interval": 1.0}
    report["accuracy"] = [measured]
    report["results"][0]["uncontended_p50_ms"] = 2.0
    page = render(report)
    assert page.count("<svg") == 4
    assert "match p50" in page


def test_without_rows_there_is_no_section_on_growth():
    assert growth_section(()) == ""

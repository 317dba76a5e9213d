"""The language of what people read: every text of the reports is in their dictionary."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

from edgefs.reports.html import document
from edgefs.reports.words import language, t

ROOT = Path(__file__).parents[3]
WORDS = json.loads((ROOT / "edgefs" / "reports" / "zh.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_TW"}, "zh"),
        ({"LANG": "C"}, "en"),
        ({"LC_ALL": "", "LANG": "zh"}, "zh"),
        ({"LC_ALL": "en_GB", "LANG": "zh"}, "en"),
        ({"EDGEFS_LANG": "ZH", "LC_ALL": "en_GB"}, "zh"),
    ],
)
def test_the_first_variable_that_is_set_decides(environment, expected):
    assert language(environment) == expected


def constants(path):
    """The texts of a module, those that are joined over several lines included."""
    return {
        node.value
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def named(path):
    """The texts that a module gives to `t`, by themselves or as a constant of the module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    known = {
        node.targets[0].id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "t"]
    given = [node.args[0] for node in calls]
    return {each.value for each in given if isinstance(each, ast.Constant)} | {
        known[each.id] for each in given if isinstance(each, ast.Name) and each.id in known
    }


REPORTS = [path for path in sorted((ROOT / "edgefs").rglob("*.py")) if "reports.words import" in path.read_text()]
ELSEWHERE = [
    *(ROOT / "edgefs" / "bench").glob("*.py"),
    *(ROOT / "runtime").glob("*.py"),
    ROOT / "edgefs/demo/playback.py",
]
ELSEWHERE += [*(ROOT / "runtime" / "teaching").glob("*.py"), *(ROOT / "runtime" / "matching").glob("*.py")]


def test_every_text_of_the_reports_has_a_chinese_one_and_none_is_left_over():
    texts = set().union(*(named(path) for path in REPORTS if path.name != "words.py"))
    assert len(texts) > 80
    assert texts - set(WORDS) == set(), "add them to edgefs/reports/zh.json"
    others = {text.replace("_", " ") for path in ELSEWHERE for text in constants(path)}
    others |= {text.removesuffix(" ms") for text in others}
    others |= {f"to answer {name} ms" for name in ("p50", "p90", "p99")}
    assert set(WORDS) - texts - others == set(), "remove them from edgefs/reports/zh.json"


def test_a_translation_has_the_values_of_its_text():
    values = {text: (re.findall(r"\{(\w+)\}", text), re.findall(r"\{(\w+)\}", own)) for text, own in WORDS.items()}
    wrong = {text for text, (theirs, own) in values.items() if sorted(theirs) != sorted(own)}
    assert wrong == {
        "Compared with the source in float32 on {pictures} pictures, the {kind} of {source}."
    }  # a word less


def test_a_text_without_a_translation_stays_english_and_has_its_values(monkeypatch):
    monkeypatch.setenv("EDGEFS_LANG", "zh")
    assert t("{n} CPU threads", n=2) == "2 个 CPU 线程"
    assert t("{n} new things {{}}", n=2) == "2 new things {}"
    assert t("100 {") == "100 {"


def test_a_page_names_its_language(monkeypatch):
    for language_, lang in (("zh", "zh-Hans"), ("en", "en")):
        monkeypatch.setenv("EDGEFS_LANG", language_)
        assert f'<html lang="{lang}">' in document("edgefs", [])

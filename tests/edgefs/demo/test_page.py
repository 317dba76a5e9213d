"""The page of the demo shows what happened and refers to nothing outside itself."""

import re

from edgefs.demo.page import render


def test_the_page_shows_every_subject_and_every_mistake(demo_run):
    playback, report = demo_run
    page = render(playback, {**report, "seed": 0, "seconds": 1.0}, "cosine")
    for row in report["subjects"]:
        assert f"<h3>{row['subject']}" in page
    assert len(re.findall(r"<b>\w+, called \w+</b>", page)) == len(playback.mistakes.kept) > 0
    assert not re.search(r"<script|<link|https?://|@import|url\(", page)


def test_a_distance_has_no_bar(demo_run):
    playback, report = demo_run
    figures = {**report, "seed": 0, "seconds": 1.0}
    assert '<div class="bar' in render(playback, figures, "cosine")
    assert '<div class="bar' not in render(playback, figures, "euclidean")


def test_the_page_is_chinese_where_that_is_asked_for(demo_run, monkeypatch):
    monkeypatch.setenv("EDGEFS_LANG", "zh")
    playback, report = demo_run
    report = {**report, "seed": 0, "seconds": 1.0}
    page = render(playback, report, "cosine")
    assert '<html lang="zh-Hans">' in page
    shown = re.sub(r"<style>.*?</style>|<pre>.*?</pre>", "", page, flags=re.S).replace(report["engine"]["reason"], "")
    shown += " ".join(re.findall(r'alt="([^"]*)"', shown))
    sentences = re.findall(r"[A-Za-z]+ [a-z]+ [a-z]+", re.sub(r"<[^>]*>|&[^;]+;", "|", shown))
    assert sentences == [], "these words are outside edgefs/reports/zh.json"

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

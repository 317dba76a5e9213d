"""The files of the page: no text becomes code, and nothing is fetched from another site."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

STATIC = Path(__file__).parents[4] / "runtime" / "app" / "web" / "static"
SCRIPTS = sorted(STATIC.glob("*.js"))
PAGE = (STATIC / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_no_script_can_turn_text_into_html_or_code(script):
    found = re.findall(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setHTML|srcdoc",
        script.read_text(encoding="utf-8"),
    )
    assert found == []


@pytest.mark.parametrize("file", sorted(STATIC.iterdir()), ids=lambda path: path.name)
def test_no_file_refers_to_another_site(file):
    text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert re.findall(r"https?://|@import|(?<!:)//[a-z]+\.", text) == []


def test_the_page_holds_no_script_and_no_style_of_its_own():
    assert re.findall(r"<style|<script(?![^>]* src=)|\son[a-z]+=|\sstyle=|javascript:", PAGE) == []


def test_every_file_is_used_and_every_used_file_exists():
    text = PAGE + "".join(script.read_text(encoding="utf-8") for script in SCRIPTS)
    named = set(re.findall(r'"(?:static|\.)/([\w.-]+)"', text))
    assert named | {"index.html"} == {file.name for file in STATIC.iterdir()}

"""The help in Chinese: every text of every command is in the dictionary, and what is code stays as it is."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from edgefs.cli import COMMANDS, build_parser, chinese
from edgefs.cli.chinese import broken, columns, option, page, texts
from edgefs.cli.parser import leaves

WORDS = json.loads((Path(chinese.__file__).parent / "zh.json").read_text(encoding="utf-8"))
CODE = r"--[a-z-]+|`[^`]*`|[A-Z]{3,}|\d[\d.,]*|%%|\w+\.\w+"  # options, code, names of arguments, figures, files


@pytest.fixture
def english(monkeypatch):
    monkeypatch.setenv("EDGEFS_LANG", "en")
    return list(texts(build_parser(set(COMMANDS))))


def chinese_help(monkeypatch, *commands: str) -> list[str]:
    monkeypatch.setenv("EDGEFS_LANG", "zh")
    monkeypatch.setenv("COLUMNS", "100")
    parser = build_parser(set(commands))
    return [leaf.format_help() for leaf in [parser, *leaves(parser)]]


def test_every_text_of_the_help_has_a_chinese_one_and_none_is_left_over(english):
    assert [text for text in english if text not in WORDS] == [], "add them to edgefs/cli/zh.json"
    assert [text for text in WORDS if text not in english] == [], "remove them from edgefs/cli/zh.json"


def test_a_text_without_a_chinese_one_would_be_noticed(english):
    parser = argparse.ArgumentParser()
    parser.add_argument("--new", help="something new (default: nothing at all)")
    assert {"something new", "nothing at all"} <= set(texts(parser)) - set(WORDS)


def test_every_translation_is_chinese_and_keeps_the_code_of_its_text():
    assert [text for text, own in WORDS.items() if not re.search(r"[\u4e00-\u9fff]", own) and " " in text] == [
        "single-stream, multi-stream, offline, camera"
    ]
    lost = {
        text: missing
        for text, own in WORDS.items()
        if (missing := {code for code in re.findall(CODE, text) if code.strip(".,") not in own})
    }
    assert lost == {}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_is_chinese_and_fits_the_terminal(command, monkeypatch):
    for shown in chinese_help(monkeypatch, command):
        assert shown.startswith("用法：edgefs")
        left = re.findall(r"[a-z]+ (?:the|of|and|a|is|for|in|to) [a-z]+", shown)
        assert left == [], "this is still English"
        prose = [
            line for line in shown.splitlines() if not line.startswith(("  edgefs", "  torchrun", "  pip", "用法"))
        ]
        assert [line for line in prose if columns(line) > 100 and "  edgefs " not in line] == []


def test_examples_keep_their_commands_and_defaults_their_values():
    say = {"examples:": "示例：", "camera 0": "摄像头 0", "where": "地方", "as here": "同上", "two": "两个"}.get
    shown = page(
        "Two.\n\nexamples:\n  edgefs live      # camera 0\n  edgefs a  x.zip      edgefs b  (two)\n",
        lambda t: say(t, t),
    )
    assert shown == "Two.\n\n示例：\n  edgefs live      # 摄像头 0\n  edgefs a  x.zip      edgefs b  (两个)"
    assert (
        option("where (default: gallery.db; maml: as here)", lambda t: say(t, t))
        == "地方（默认：gallery.db；maml: 同上）"
    )


def test_lines_are_broken_by_columns_and_not_before_a_stop():
    assert broken("把摄像头对准物品，按住", 16) == ["把摄像头对准物", "品，按住"]
    assert broken("放在 gallery.db 里（docs/live.md）。", 20) == ["放在 gallery.db 里", "（docs/live.md）。"]


@pytest.mark.parametrize(
    ("environment", "first"),
    [
        ({"EDGEFS_LANG": "zh"}, "用法："),
        ({"LANG": "zh_CN.UTF-8"}, "用法："),
        ({"LANG": "zh_CN.UTF-8", "EDGEFS_LANG": "en"}, "usage:"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, "usage:"),
        ({"LANG": "de_DE.UTF-8"}, "usage:"),
        ({}, "usage:"),
    ],
)
def test_the_language_is_that_of_the_environment(environment, first):
    command = [sys.executable, "-m", "edgefs.cli", "--help"]
    environment = {"PYTHONIOENCODING": "utf-8", "PATH": "/usr/bin", "PYTHONPATH": ":".join(sys.path), **environment}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, encoding="utf-8")
    assert done.stdout.startswith(first)


def test_english_reads_no_dictionary(python):
    code = (
        "import sys; from edgefs.cli import build_parser; build_parser(()); print('edgefs.cli.chinese' in sys.modules)"
    )
    assert python(f"import os; os.environ['EDGEFS_LANG'] = 'en'; {code}").stdout.strip() == "False"
    assert python(f"import os; os.environ['EDGEFS_LANG'] = 'zh'; {code}").stdout.strip() == "True"

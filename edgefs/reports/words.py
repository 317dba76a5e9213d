"""The language of what people read, and the words of the reports. The English text is the key of every dictionary."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

LANG = {"en": "en", "zh": "zh-Hans"}  # as HTML names them


def language(environment: Mapping[str, str] = os.environ) -> str:
    """Return "zh" or "en": what EDGEFS_LANG says, else the language of the system as gettext reads it."""
    for name in ("EDGEFS_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environment.get(name):
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


@cache
def dictionary(folder: Path) -> dict[str, str]:
    """Return the Chinese dictionary of a folder: from the English text to the Chinese one."""
    words: dict[str, str] = json.loads((folder / "zh.json").read_text(encoding="utf-8"))
    return words


def t(text: str, **values: object) -> str:
    """Return a text of a report in the present language, with its `{values}`; one without a translation is English."""
    if language() == "zh":
        text = dictionary(Path(__file__).parent).get(text, text)
    return text.format(**values) if values else text

"""The language of what people read, and the words of it. The English text is the key of every other dictionary."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path


def language(environment: Mapping[str, str] = os.environ) -> str:
    """Return "zh" or "en": what EDGEFS_LANG says, else the language of the system as gettext reads it."""
    for name in ("EDGEFS_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environment.get(name):
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


def dictionary(folder: Path) -> dict[str, str]:
    """Return the Chinese dictionary of a folder: from the English text to the Chinese one."""
    words: dict[str, str] = json.loads((folder / "zh.json").read_text(encoding="utf-8"))
    return words

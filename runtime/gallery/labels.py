"""What a class may be called, and what to say when nobody is called that."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection
from difflib import get_close_matches

from runtime.errors import InvalidLabel, UnknownLabel

MAX_LABEL_CHARS = 100
# Control, line and paragraph separators, lone surrogates (not UTF-8), invisible formatting (right-to-left override).
_FORBIDDEN = {"Cc", "Zl", "Zp", "Cs", "Cf"}
_JOINERS = "\u200c\u200d"  # invisible, but Persian, Indic scripts and emoji are misspelt without them


def clean_label(label: str) -> str:
    """Return `label` as it is stored: NFC, without surrounding white space. Raises InvalidLabel."""
    if not isinstance(label, str):
        raise InvalidLabel(f"A label must be a string, but got {type(label).__name__}. Pass str(label).")
    clean = unicodedata.normalize("NFC", label).strip()
    if not 1 <= len(clean) <= MAX_LABEL_CHARS:
        raise InvalidLabel(
            f"A label must have 1 to {MAX_LABEL_CHARS} characters, but {clean[:20]!r} has {len(clean)}. Choose another."
        )
    for char in clean:
        if unicodedata.category(char) in _FORBIDDEN and char not in _JOINERS:
            raise InvalidLabel(
                f"A label must have no control or invisible characters, but {clean!r} has U+{ord(char):04X}. Remove it."
            )
    return clean


def unknown_label(label: str, known: Collection[str]) -> UnknownLabel:
    """The error for a label nobody has: names the closest ones."""
    if not known:
        return UnknownLabel(f"{label!r} must be a class of the gallery, but the gallery is empty. Enrol it first.")
    close = get_close_matches(label, known, n=3, cutoff=0.5)
    if close:
        hint = f"Did you mean {' or '.join(map(repr, close))}?"
    else:
        hint = f"It has {', '.join(map(repr, list(known)[:5]))}{' and more' if len(known) > 5 else ''}."
    return UnknownLabel(f"{label!r} must be a class of the gallery, but it has no such class. {hint}")

"""What a class may be called, and the error for a label that no class has."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable
from difflib import get_close_matches

from runtime.errors import InvalidLabel, UnknownLabel

MAX_LABEL_CHARS = 100
RESERVED = "unknown"  # the answer for a stranger, on screen, in reports and in MQTT messages
# Control, line and paragraph separators, lone surrogates (not UTF-8), invisible formatting (right-to-left override).
_FORBIDDEN = {"Cc", "Zl", "Zp", "Cs", "Cf"}
_JOINERS = "\u200c\u200d"  # these are invisible, but Persian, Indic scripts and emoji need them


def normalised(label: str) -> str:
    """Return a label in Unicode form NFC without surrounding white space. Raises InvalidLabel if it is no string."""
    if not isinstance(label, str):
        raise InvalidLabel(f"A label must be a string, but got {type(label).__name__}. Pass str(label).")
    return unicodedata.normalize("NFC", label).strip()


def clean_label(label: str) -> str:
    """Check the label of a new class.

    Returns:
        The label as it is stored, see `normalised`.

    Raises:
        InvalidLabel: It is empty, too long, reserved, or has control or invisible characters.
    """
    clean = normalised(label)
    if not 1 <= len(clean) <= MAX_LABEL_CHARS:
        raise InvalidLabel(
            f"A label must have 1 to {MAX_LABEL_CHARS} characters, but {clean[:20]!r} has {len(clean)}. Choose another."
        )
    if clean.casefold() == RESERVED:
        raise InvalidLabel(
            f"A label must not be {RESERVED!r}, because that is the answer for things that were not taught, but got "
            f"{clean!r}. Choose another."
        )
    for char in clean:
        if unicodedata.category(char) in _FORBIDDEN and char not in _JOINERS:
            raise InvalidLabel(
                f"A label must have no control or invisible characters, but {clean!r} has U+{ord(char):04X}. Remove it."
            )
    return clean


def label_problems(names: Iterable[str]) -> dict[str, str]:
    """Return why names, such as those of class folders, cannot be the labels of one gallery; empty if they can."""
    problems: dict[str, str] = {}
    alike: dict[str, list[str]] = {}
    for name in sorted(names):
        try:
            alike.setdefault(" ".join(clean_label(name).casefold().split()), []).append(name)
        except InvalidLabel as error:
            problems[name] = str(error)
    for same in (same for same in alike.values() if len(same) > 1):
        listed = ", ".join(map(repr, same))
        problems |= dict.fromkeys(same, f"{listed} differ only in case, spaces or Unicode form. Rename or merge them.")
    return problems


def check_labels(names: Iterable[str]) -> None:
    """Raise InvalidLabel, naming every problem, unless the names of classes can be the labels of one gallery."""
    problems = dict.fromkeys(label_problems(names).values())
    if problems:
        raise InvalidLabel("Every class must have a name that can be a label, but:\n  " + "\n  ".join(problems))


def similar_label(label: str, existing: Iterable[str]) -> str | None:
    """Return the existing label that differs from this one only in case or white space; None if there is none."""
    return next((other for other in existing if other != label and _letters(other) == _letters(label)), None)


def unknown_label(label: str, known: Collection[str]) -> UnknownLabel:
    """Return the error for a label that no class has; its message names the most similar labels."""
    if not known:
        return UnknownLabel(f"{label!r} must be a class of the gallery, but the gallery is empty. Enrol it first.")
    close = get_close_matches(label, known, n=3, cutoff=0.5)
    if close:
        hint = f"Did you mean {' or '.join(map(repr, close))}?"
    else:
        hint = f"It has {', '.join(map(repr, list(known)[:5]))}{' and more' if len(known) > 5 else ''}."
    return UnknownLabel(f"{label!r} must be a class of the gallery, but it has no such class. {hint}")


def _letters(label: str) -> str:
    return "".join(label.casefold().split())

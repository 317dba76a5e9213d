"""The words of the page: none is outside its dictionaries, none is missing, and both have the same values."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from runtime.app.core.camera_reader import MESSAGES
from runtime.app.core.session import BUSY, STALLED
from runtime.fleet.events import Event, EventKey
from runtime.fleet.fold import fold
from runtime.recognizer import Recognizer
from runtime.teaching.coach import Coach
from runtime.teaching.enrolling import WHAT_TO_DO

STATIC = Path(__file__).parents[4] / "runtime" / "app" / "web" / "static"
SCRIPTS = {path.name: path.read_text(encoding="utf-8") for path in sorted(STATIC.glob("*.js"))}
SCRIPT = "".join(SCRIPTS.values())
PAGE = (STATIC / "index.html").read_text(encoding="utf-8")
ENGLISH, CHINESE = (json.loads((STATIC / f"{name}.json").read_text(encoding="utf-8")) for name in ("en", "zh"))
KEY = r"[a-z]+(?:\.[a-z]+)*"
NAMES = {"edgefs", "CSV", "JSON"}  # which every language writes alike
# Names that the web gives, and keys of a keyboard.
WEB = {
    "Content-Type",
    "Offline",
    "Error",
    "Files",
    "Escape",
    "Enter",
    "Space",
    "Delete",
    "Backspace",
    "NotAllowedError",
}
OURS = ("The dictionary must have",)  # an error for whoever writes the page


def forms(entry):
    return [entry] if isinstance(entry, str) else list(entry.values())


def values(entry):
    return {name for form in forms(entry) for name in re.findall(r"\{(\w+)\}", form)}


def used_keys():
    """The keys that page and scripts name; keys with a computed end are found by their beginning."""
    names = set(re.findall(rf'"({KEY})"', SCRIPT)) | set(re.findall(rf'data-t(?:-[a-z-]+)?="({KEY})"', PAGE))
    begun = [text.partition("$")[0] for text in re.findall(r"\bt\(`([^`]*)`", SCRIPT)]
    return names | {key for key in ENGLISH if any(start and key.startswith(start) for start in begun)}


def test_both_languages_have_the_same_keys_with_the_same_values():
    assert set(CHINESE) - {"device"} == set(ENGLISH)
    assert {key for key in ENGLISH if values(ENGLISH[key]) != values(CHINESE[key])} == set()
    assert all(form.strip() or key == "space" for key in ENGLISH for form in forms(ENGLISH[key]))


def test_every_key_of_the_page_is_in_the_dictionary_and_none_is_left_over():
    named = set(re.findall(rf'\bt\("({KEY})"', SCRIPT)) | set(re.findall(rf'data-t(?:-[a-z-]+)?="({KEY})"', PAGE))
    assert named <= set(ENGLISH)
    assert set(ENGLISH) <= used_keys()


def test_the_page_has_no_words_of_its_own():
    body = re.sub(r"<noscript>.*?</noscript>", "", PAGE, flags=re.S)
    assert set(re.findall(r">\s*([^<>\s][^<>]*?)\s*<", body)) <= NAMES
    assert set(re.findall(r'\s(?:aria-label|title|placeholder|alt)="([^"]*)"', body)) <= {"edgefs/seen"}  # a topic


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_has_no_words_of_its_own(name):
    code = re.sub(r"(^|\s)//[^\n]*|/\*.*?\*/", "", SCRIPTS[name], flags=re.S)
    texts = re.findall(r'"((?:[^"\\\n]|\\.)*)"', code)
    written = [text for text in texts if re.match(r"[A-Z][a-z]+( |$)", text) and text not in WEB]
    assert written == [], "such text belongs into en.json and zh.json"
    templates = [text for text in re.findall(r"`([^`]*)`", code) if not text.startswith(OURS)]
    assert [text for text in templates if re.search(r"[a-z]{2,} [a-z]{2,}", re.sub(r"\$\{.*?\}", "", text))] == []


def test_what_the_device_says_is_translated_with_the_same_values():
    device = CHINESE["device"]
    assert {text for text in device if values(text) != values(device[text])} == set()
    assert list(device)[-1] == "{reason}: {advice}", "it fits nearly everything, and the page takes the first that fits"


def translated(text):
    """Whether the page finds a Chinese sentence for what the device says, as words.js looks for it."""
    for english in CHINESE["device"]:
        parts = [re.escape(part) for part in re.split(r"\{\w+\}", english)]
        if re.fullmatch("(.+?)".join(parts), text, re.S):
            return True
    return False


def test_what_a_device_really_says_about_classes_changes_answers_and_cameras_is_translated(tiny, tiny_bundle):
    with Recognizer(tiny_bundle, engine="onnxruntime", threads=1) as recognizer:
        said = [*recognizer.explain(recognizer.recognize(tiny.views(0, 1)[0])).sentences]
        coach = Coach(recognizer, "mug")
        said += [coach.look(frame).line for frame in (*tiny.views(0, 8), tiny.views(0, 1)[0] * 0)]
        said += coach.enroll().advice
        recognizer.enroll("cup", tiny.views(2, 8))
        recognizer.enroll("lid", tiny.views(2, 8, start=20))
        gallery = recognizer.gallery
        ids = [int(id_) for id_ in gallery.classes["mug"].ids]
        recognizer.reject(tiny.views(2, 1)[0], "mug")
        said += [each.advice for each in recognizer.classes()]
        for frame in (*tiny.views(0, 2, start=30), *tiny.views(1, 2), *tiny.views(2, 2)):
            said += recognizer.explain(recognizer.recognize(frame)).sentences
        gallery.move_shot(ids[0], "cup")
        gallery.remove_shot(ids[1])
        recognizer.rename("mug", "glass")
        recognizer.merge("lid", into="cup")
        recognizer.forget("cup")
        said += [operation.what for operation in gallery.history()]
    said += [STALLED, BUSY, *filter(None, MESSAGES.values()), *WHAT_TO_DO, f"undone: {said[-1]}"]
    assert len(said) > 30
    assert {text for text in said if not translated(text)} == set()


def test_what_a_device_really_says_about_conflicts_is_translated():
    shot = {"shots": [["mug", False, 1]]}
    changes = [  # who, what, how much of the order of the site its maker knew
        ("a", "teach", shot, 0),
        ("a", "teach", shot, 1),
        ("b", "remove", {"shot": ["a", 1, 0]}, 2),
        ("a", "remove", {"shot": ["a", 1, 0]}, 2),
        ("b", "rename", {"label": "mug", "to": "cup"}, 4),
        ("a", "teach", {"shots": [["mug", True, 1]]}, 4),
        ("a", "forget", {"label": "mug"}, 5),
        ("a", "teach", {"shots": [["lid", False, 1]]}, 7),
        ("b", "teach", {"shots": [["lid", False, 1]]}, 8),
        ("b", "rename", {"label": "cup", "to": "lid"}, 4),
        ("a", "forget", {"label": "lid"}, 8),
        ("b", "rename", {"label": "lid", "to": "tin"}, 9),
        ("b", "teach", {"shots": [["lid", False, 1]]}, 9),
        ("b", "forget", {"label": "hat"}, 9),
    ]
    events = []
    for seq, (origin, kind, body, seen) in enumerate(changes, 1):
        n = sum(event.key.origin == origin for event in events) + 1
        events.append(Event(EventKey(origin, n), kind, body, seen, "", 0.0, seq))
    said = [conflict.text for conflict in fold(events).conflicts]
    assert len(set(said)) == 7, "a rule of the fold says nothing here"
    assert {text for text in said if not translated(text)} == set()

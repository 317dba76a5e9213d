"""Rules from a file, and what is refused."""

from __future__ import annotations

import json

import pytest

from runtime.app.actions.rules import EXAMPLE, Command, Csv, Mqtt, Rule, Webhook, check, read_rules, signing_key, target
from runtime.errors import OptionError

ALL = """
[[rules]]
name = "door"
label = "mug"
certainty = "maybe"
camera = "shop"
dwell_s = 2
do = {kind = "webhook", url = "https://example.org/hook", secret = "sixteen characters"}

[[rules]]
name = "log"
do = {kind = "csv", path = "seen.csv"}

[[rules]]
name = "bell"
do = {kind = "command", command = ["play", "bell.wav"]}

[[rules]]
name = "bus"
do = {kind = "mqtt", url = "mqtt://user:pass@broker", topic = "seen"}
"""


def test_a_toml_and_a_json_file_say_the_same(tmp_path):
    (tmp_path / "rules.toml").write_text(ALL)
    rules = read_rules(tmp_path / "rules.toml")
    assert [rule.name for rule in rules] == ["door", "log", "bell", "bus"]
    assert rules[0].dwell_s == 2
    assert rules[2].do == Command(["play", "bell.wav"])
    same = {"name": "log", "do": {"kind": "csv", "path": "seen.csv"}}
    (tmp_path / "rules.json").write_text(json.dumps({"rules": [same]}))
    assert read_rules(tmp_path / "rules.json") == [rules[1]]


def test_the_example_of_the_error_message_is_a_rule(tmp_path):
    (tmp_path / "rules.toml").write_text(EXAMPLE)
    assert read_rules(tmp_path / "rules.toml")[0].label == "mug"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "missing required field `rules`"),
        ("rules = 3", "Expected `array`"),
        ("[[rules]]\nname = 'a'\ndo = {kind = 'fax'}", "Invalid value 'fax'"),
        ("[[rules]]\nname = 'a'\nlabels = 'x'\ndo = {kind = 'csv', path = 'a'}", "unknown field `labels`"),
        ("[[rules]]\nname = 'a'\ndo = {kind = 'webhook', url = 'ftp://x'}", "must begin with http:// or https://"),
        ("[[rules]]\nname = 'a'\ndo = {kind = 'mqtt', url = 'mqtt://b', topic = 'a/#'}", "must have no wildcard"),
        ("not toml", "Expected '='"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_an_example(tmp_path, text, says):
    (tmp_path / "rules.toml").write_text(text)
    with pytest.raises(OptionError, match="must be a file with rules") as error:
        read_rules(tmp_path / "rules.toml")
    assert says in str(error.value)
    assert EXAMPLE in str(error.value)


def test_a_missing_file_and_a_name_used_twice_are_refused(tmp_path):
    with pytest.raises(OptionError, match="No such file"):
        read_rules(tmp_path / "none.toml")
    (tmp_path / "rules.toml").write_text(EXAMPLE + "\n" + EXAMPLE)
    with pytest.raises(OptionError, match="'mug seen' is there twice"):
        read_rules(tmp_path / "rules.toml")


def test_the_rule_for_unknown_things_names_no_class():
    with pytest.raises(OptionError, match="must name no label"):
        check(Rule("r", Csv("a.csv"), label="mug", certainty="unknown"))


@pytest.mark.parametrize("headers", [{"a\r\nb": "c"}, {"a": "b\nc"}, {"": "x"}])
def test_a_header_cannot_add_another_one(headers):
    with pytest.raises(OptionError, match="must be printable ASCII"):
        check(Rule("r", Webhook("http://a/", headers=headers)))


def test_a_key_is_base64_after_whsec_and_text_otherwise():
    assert signing_key(Webhook("http://a/", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))[:2] == b"\x31\xf2"
    assert signing_key(Webhook("http://a/", "sixteen characters")) == b"sixteen characters"
    with pytest.raises(OptionError, match="must go on in base64"):
        check(Rule("r", Webhook("http://a/", "whsec_not base64 at all")))


def test_what_is_shown_of_a_target_has_no_password():
    assert target(Webhook("https://u:p@host/a?token=1")) == "https://***@host/a?***"
    assert target(Mqtt("mqtt://u:p@host", "t")) == "mqtt://***@host t"

"""Config fields as options of a command: flags, defaults, and which methods have a field."""

import argparse
from dataclasses import dataclass

from edgefs.cli.fields import add_fields, given
from edgefs.methods.options import Config, option


@dataclass(frozen=True, kw_only=True)
class Plain(Config):
    rate: float = option(0.5, "speed of learning", group="training")
    names: tuple[str, ...] = option((), "words")
    kind: str = option("a", "kind of run", choices=("a", "b"))
    fast: bool = option(False, "hurry")
    hidden: int = option(1, "not shown", flag=False)


@dataclass(frozen=True, kw_only=True)
class Special(Plain):
    rate: float = 0.25
    extra: int = option(7, "only here")


def parser():
    made = argparse.ArgumentParser()
    add_fields(made, {"plain": Plain, "special": Special})
    return made


def test_only_options_that_are_given_are_passed_on():
    words = ["--rate", "0.1", "--names", "x", "y", "--fast", "--extra", "3"]
    assert given(parser().parse_args(words)) == {"rate": 0.1, "names": ["x", "y"], "fast": True, "extra": 3}
    assert given(parser().parse_args([])) == {}


def test_the_help_shows_each_default_each_choice_and_which_method_has_a_field():
    text = " ".join(parser().format_help().split())
    assert "speed of learning (default: 0.5; special: 0.25)" in text
    assert "--kind {a,b}" in text
    assert "only special:" in text
    assert "only here (default: 7)" in text
    assert "hidden" not in text

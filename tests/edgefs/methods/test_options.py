"""Configs: their limits, their public form, and options over them."""

from dataclasses import dataclass

import pytest

from edgefs.errors import ConfigError
from edgefs.methods import ADAPT, FINETUNE, META, config_of
from edgefs.methods.options import Config, facts_of, option, settled


@dataclass(frozen=True, kw_only=True)
class Small(Config):
    root: str = option(text="where")
    count: int = option(1, "how many", least=1)
    share: float = option(0.5, "part", least=0, most=1)
    kind: str = option("a", "kind", choices=("a", "b"))
    names: tuple[str, ...] = option((), "words")
    init_from: str = option("", "start")


@dataclass(frozen=True, kw_only=True)
class Other(Small):
    count: int = 5


KINDS = {"small": Small, "other": Other}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"count": 0}, "count must be at least 1, but is 0"),
        ({"share": 2}, "share must be in 0..1, but is 2"),
        ({"kind": "c"}, "kind must be one of a, b, but is 'c'"),
        ({"speed": 1}, "there is speed"),
    ],
)
def test_a_value_that_cannot_work_is_refused(options, text):
    with pytest.raises(ConfigError, match=text):
        settled(KINDS, "small", {"root": ".", **options})


def test_an_option_without_a_default_must_be_given():
    with pytest.raises(ConfigError, match="small needs root"):
        settled(KINDS, "small", {})


def test_options_are_laid_over_a_config_object():
    config = settled(KINDS, "other", {"root": "here"})
    assert (config.count, settled(KINDS, config, {"count": 7}).count) == (5, 7)


def test_a_changed_default_keeps_the_limits_and_the_help():
    assert facts_of(Other, "count")["help"] == "how many"
    with pytest.raises(ConfigError, match="at least 1"):
        Other(method="other", root=".", count=0)


def test_a_public_config_names_no_folder_and_json_has_lists():
    config = Small(method="small", root="/home/me", init_from="/home/me/best.safetensors", names=["x"])
    assert config.public().to_json() == {
        "method": "small", "root": "", "count": 1, "share": 0.5, "kind": "a", "names": ["x"],
        "init_from": "best.safetensors",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("table", "needed"), [(META, {"data": "folder"}), (FINETUNE, {}), (ADAPT, {"source": "a", "target": "b"})]
)
def test_every_method_has_a_config_with_help_for_each_of_its_options(table, needed):
    for name, kind in table.items():
        config = config_of(name, **needed)
        assert type(config) is kind
        assert config.method == name
        assert kind.__doc__
        assert not kind.__doc__.startswith(kind.__name__ + "(")
        assert all(facts_of(kind, field)["help"] for field in config.to_json() if field != "method")

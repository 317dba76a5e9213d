"""The options that several commands share."""

import argparse
import re

import pytest

from edgefs.cli.options import add_engine_option, existing_gallery, load_bundle, positive, region, seconds, share
from runtime.engines import ENGINES
from runtime.errors import BundleMissing, GalleryMissing


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (positive, "3", 3),
        (seconds, "1.5", 1.5),
        (share, "5%", 0.05),
        (share, "0.2", 0.2),
        (region, "1,2,30,40", (1, 2, 30, 40)),
    ],
)
def test_a_value_is_parsed(parse, text, value):
    assert parse(text) == pytest.approx(value)


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (positive, "0"),
        (positive, "x"),
        (seconds, "-1"),
        (seconds, "inf"),
        (share, "120%"),
        (share, "x"),
        (region, "1,2,3"),
    ],
)
def test_a_value_out_of_range_is_refused_with_what_was_found(parse, text):
    with pytest.raises(argparse.ArgumentTypeError, match=re.escape(f"but got {text!r}")):
        parse(text)


def test_the_help_names_every_engine():
    parser = argparse.ArgumentParser()
    add_engine_option(parser)
    assert all(name in parser.format_help() for name in ENGINES)


def test_a_gallery_that_must_exist_is_not_created(tmp_path):
    path = tmp_path / "typo.db"
    with pytest.raises(GalleryMissing, match=r"no such file; .* edgefs enroll NAME SOURCE --gallery .*typo\.db"):
        existing_gallery(str(path))
    assert not path.exists()


def test_without_a_path_the_bundle_is_the_embedded_one(tmp_path):
    assert load_bundle(None).name == "edgefs-default"
    with pytest.raises(BundleMissing):
        load_bundle(str(tmp_path / "absent.edgefs"))

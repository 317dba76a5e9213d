"""A library that is not installed is named with its install line."""

import json

import pytest

from exporters.errors import ToolMissing
from exporters.tools import load_tool


def test_an_installed_library_is_returned():
    assert load_tool("json", "this test") is json


def test_a_missing_library_is_named_with_who_needs_it_and_how_to_install_it():
    with pytest.raises(ToolMissing, match=r"^int8 needs no_such, but No module.*; do: pip install no-such$"):
        load_tool("no_such.part", "int8", "pip install no-such")

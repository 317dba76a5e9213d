"""The language of what people read."""

from __future__ import annotations

import pytest

from edgefs.reports.words import language


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_TW"}, "zh"),
        ({"LANG": "C"}, "en"),
        ({"LC_ALL": "", "LANG": "zh"}, "zh"),
        ({"LC_ALL": "en_GB", "LANG": "zh"}, "en"),
        ({"EDGEFS_LANG": "ZH", "LC_ALL": "en_GB"}, "zh"),
    ],
)
def test_the_first_variable_that_is_set_decides(environment, expected):
    assert language(environment) == expected

"""The passport of a plan: what it must contain, and which machines it admits."""

from dataclasses import replace

import pytest

from runtime.engines.nvidia.passport import Passport, _gpu_fits, _version_fits
from runtime.errors import BundleCorrupt


@pytest.mark.parametrize(
    "change",
    [{"batch": (1, 2)}, {"batch": (8, 1, 1)}, {"batch": (True, 1, 1)}, {"compute_capabilities": (8,)}, {"driver": 5},
     {"version_compatible": 1}, {"dla_core": "0"}, {"compatibility": "all"}, {"precision": None}],
)  # fmt: skip
def test_a_passport_with_a_value_of_the_wrong_type_is_corrupt(passport, change):
    with pytest.raises(BundleCorrupt, match="must be a passport"):
        Passport.from_json(replace(passport, **change).to_json(), "p.json")


def test_a_passport_survives_the_round_trip(passport):
    assert Passport.from_json(passport.to_json(), "p.json") == passport


def test_a_version_compatible_plan_runs_on_newer_libraries_of_its_major_version(passport):
    compatible = replace(passport, version_compatible=True)
    assert [_version_fits(compatible, v) for v in ("10.3.0", "10.16.1.11", "10.2.9", "11.4.0")] == [1, 1, 0, 0]
    assert not _version_fits(passport, "10.16.1.11")


def test_an_ampere_plus_plan_runs_from_8_0_on(passport):
    portable = replace(passport, compute_capabilities=("8.6",), compatibility="ampere_plus")
    assert [_gpu_fits(portable, cc) for cc in ("7.5", "8.0", "8.7", "12.0")] == [False, True, True, True]

"""The passport of a plan: what it must contain, and which machines it admits."""

from dataclasses import replace

import pytest

from runtime.engines.nvidia.passport import Machine, Passport, _gpu_fits, _version_fits, differences
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


@pytest.mark.parametrize(
    ("built", "runs"),
    [("10.3.0", "10.3.0"), ("10.3.0", "10.16.1.11"), ("10.16.1", "11.4.0"), ("11.0.0", "11.4.1")],
)
def test_a_version_compatible_plan_runs_where_nvidia_supports_it(passport, built, runs):
    """Newer libraries of the same major version, and TensorRT 11 for plans of TensorRT 10."""
    compatible = replace(passport, version_compatible=True, library_version=built)
    assert _version_fits(compatible, runs)
    assert _version_fits(replace(compatible, version_compatible=False), runs) == (built == runs)


@pytest.mark.parametrize(("built", "runs"), [("10.3.0", "10.2.9"), ("11.0.0", "10.16.1"), ("10.3.0", "12.0.0")])
def test_a_version_compatible_plan_runs_nowhere_else(passport, built, runs):
    assert not _version_fits(replace(passport, version_compatible=True, library_version=built), runs)


def test_another_driver_or_jetpack_is_only_named(passport):
    here = Machine("10.3.0", "8.7", "linux", "aarch64", "580.1 (CUDA 13.0)", None)
    built = replace(passport, driver="540.4.0", jetpack="R36.4.3")
    assert differences(built, here) == (
        " (it was built with driver 540.4.0 and this is 580.1 (CUDA 13.0), jetpack R36.4.3 and this is None)"
    )
    assert differences(replace(passport, driver=None, jetpack=None), here) == ""


def test_an_ampere_plus_plan_runs_from_8_0_on(passport):
    portable = replace(passport, compute_capabilities=("8.6",), compatibility="ampere_plus")
    assert [_gpu_fits(portable, cc) for cc in ("7.5", "8.0", "8.7", "12.0")] == [False, True, True, True]

"""Cut networks, killed databases and killed devices: after they are mended, all devices agree and nothing was lost."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

pytestmark = pytest.mark.fleet
TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def harness():
    spec = importlib.util.spec_from_file_location("fleet_site", TESTS / "fleet_site.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(harness, postgres, site, tmp_path, seed, program=None):
    schedule = harness.Schedule(postgres, site, tmp_path, seed, program)
    try:
        schedule.run(40)
        schedule.heal()
        schedule.check()
    finally:
        schedule.close()


@pytest.mark.parametrize("seed", range(3))
def test_devices_agree_after_faults(harness, postgres, site, tmp_path, seed):
    run(harness, postgres, site, tmp_path, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3, 100))
def test_devices_agree_after_many_more_faults(harness, postgres, site, tmp_path, seed):
    run(harness, postgres, site, tmp_path, seed)

"""Cut networks, killed databases and killed devices: after they are mended, all devices agree and nothing was lost."""

from __future__ import annotations

import importlib.util
import time
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


# What each change of the code does, the step after which it shows, and what the check says.
BROKEN = {
    "without ON CONFLICT": ("database", " ON CONFLICT (origin, n) DO NOTHING", "", "not in step"),
    "with an outbox in memory": ("journal", "ORDER BY seq IS NULL", "WHERE seq IS NOT NULL ORDER BY seq", "was lost"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_the_check_fails(harness, postgres, site, tmp_path, what, monkeypatch):
    module, found, replaced, message = BROKEN[what]
    source = (TESTS.parent / f"runtime/fleet/{module}.py").read_text()
    assert found in source
    (tmp_path / f"{module}.py").write_text(source.replace(found, replaced))
    program = tmp_path / "device.py"
    program.write_text(
        "import importlib.util, runpy, sys\n"
        f"spec = importlib.util.spec_from_file_location('runtime.fleet.{module}', {str(tmp_path / module)!r} + '.py')\n"
        "sys.modules[spec.name] = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(sys.modules[spec.name])\n"
        f"runpy.run_path({str(TESTS / 'fleet_device.py')!r}, run_name='__main__')\n"
    )
    monkeypatch.setattr(harness, "PATIENCE_S", 6.0)
    with pytest.raises(AssertionError, match=message):
        lose_an_answer(harness, postgres, site, tmp_path, program)


def test_the_same_steps_pass_with_the_code_as_it_is(harness, postgres, site, tmp_path):
    lose_an_answer(harness, postgres, site, tmp_path)


def lose_an_answer(harness, postgres, site, tmp_path, program=None):
    """Let a device be killed that does not know of one change whether it was sent, and did not send another one."""
    schedule = harness.Schedule(postgres, site, tmp_path, 0, program)
    try:
        assert schedule.teach(0, "mug")
        schedule.heal()
        schedule.proxies[0].deaf_from = b"COMMIT"  # the database stores the change, and its answer is lost
        assert schedule.teach(0, "cup")
        time.sleep(0.5)
        schedule.proxies[0].cut()
        assert schedule.teach(0, "bowl")
        schedule.devices[0].kill()
        schedule.heal()
        schedule.check()
    finally:
        schedule.close()

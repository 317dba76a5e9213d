"""The state of the machine, read from recorded files of a Jetson and of a laptop."""

import pytest

from edgefs.bench import machine

QUIET = {
    "others_cpus": 0.0,
    "stolen_cpus": 0.0,
    "load_average": 0.1,
    "governor": ["performance"],
    "clocks_mhz": [1510],
    "temperatures_c": {"cpu-thermal": 48.5},
    "power_mode": "2",
}


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_governor_clocks_temperatures_and_power_mode_are_read(tmp_path):
    write(
        tmp_path,
        {
            "proc/stat": "cpu  100 0 50 1000 0 0 0 0 0 0\ncpu0 …",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "schedutil\n",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "1510400\n",
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
            "sys/class/thermal/thermal_zone0/temp": "48500\n",
            "sys/class/thermal/thermal_zone1/temp": "",
            "var/lib/nvpmodel/status": "pmode:0002 fmode:fanNull\n",
        },
    )
    found = machine.condition(tmp_path, seconds=0.01)
    assert found["governor"] == ["schedutil"]
    assert found["clocks_mhz"] == [1510]
    assert found["temperatures_c"] == {"cpu-thermal": 48.5}
    assert found["power_mode"] == "2"
    assert found["others_cpus"] == 0.0


def test_a_machine_that_tells_nothing_gives_none(tmp_path):
    found = machine.condition(tmp_path, seconds=0.01)
    assert [found[name] for name in ("governor", "clocks_mhz", "temperatures_c", "power_mode")] == [None] * 4
    assert machine.warnings(found, found, contended=0.0) == []


@pytest.mark.parametrize(
    ("changes", "contended", "says"),
    [
        ({"others_cpus": 1.4}, 0.1, "busy: other processes used 1.4 CPUs"),
        ({}, 0.8, "80 % of the samples waited"),
        ({"stolen_cpus": 0.2}, 0.0, "hypervisor"),
        ({"governor": ["powersave"]}, 0.0, "governor is powersave"),
        ({"power_mode": "0"}, 0.0, "power mode changed from"),
        ({"temperatures_c": {"gpu": 96.0}}, 0.0, "96 °C"),
    ],
)
def test_whatever_makes_a_figure_doubtful_is_said(changes, contended, says):
    (warning,) = machine.warnings(
        {**QUIET, **{k: v for k, v in changes.items() if k == "governor"}}, QUIET | changes, contended
    )
    assert says in warning


def test_a_quiet_machine_gets_no_warning():
    assert machine.warnings(QUIET, QUIET, contended=0.01) == []

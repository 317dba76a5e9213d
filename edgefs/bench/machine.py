"""The machine that figures depend on: its versions, its state before and after a run, and reasons to doubt figures."""

from __future__ import annotations

import datetime
import os
import platform
import time
from pathlib import Path
from typing import Any

from exporters.versions import installed

BUSY = 0.1  # CPUs used by other processes; below it the median does not change
HOT_C = 85.0


def facts() -> dict[str, Any]:
    """Machine, versions and date: what stays the same during a run."""
    return {
        "machine": f"{cpu_model()}, {os.cpu_count()} CPUs, {platform.system()} {platform.machine()}",
        "board": _text(Path("/proc/device-tree/model")),  # the model of a Jetson or a Raspberry Pi
        "python": platform.python_version(),
        "versions": installed(),
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def cpu_model() -> str:
    lines = (_text(Path("/proc/cpuinfo")) or "").splitlines()
    named = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def condition(root: Path = Path("/"), seconds: float = 0.5) -> dict[str, Any]:
    """The current state of the machine; None for what it does not report.

    The keys are: others_cpus, the CPUs busy with other processes while this one sleeps for `seconds`; stolen_cpus, the
    CPUs taken by a hypervisor; load_average; governor; clocks_mhz of each CPU; temperatures_c of each thermal zone; and
    power_mode of a Jetson (nvpmodel).
    """
    busy, stolen = _cpu_seconds(root)
    time.sleep(seconds)
    busy_after, stolen_after = _cpu_seconds(root)
    cpus = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq"))
    temperatures = {
        _text(zone / "type") or zone.name: milli / 1e3
        for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*"))
        if (milli := _number(zone / "temp")) is not None
    }
    return {
        "others_cpus": round(max(0.0, busy_after - busy) / seconds, 2),
        "stolen_cpus": round(max(0.0, stolen_after - stolen) / seconds, 3),
        "load_average": round(os.getloadavg()[0], 2),
        "governor": sorted({text for cpu in cpus if (text := _text(cpu / "scaling_governor"))}) or None,
        "clocks_mhz": [round(khz / 1e3) for cpu in cpus if (khz := _number(cpu / "scaling_cur_freq"))] or None,
        "temperatures_c": temperatures or None,
        "power_mode": _power_mode(root),
    }


def warnings(before: dict[str, Any], after: dict[str, Any], contended: float) -> list[str]:
    """Reasons to doubt the figures, as sentences without a full stop.

    Args:
        before: `condition` before the run.
        after: `condition` after the run.
        contended: The share of samples that waited for a CPU.
    """
    found = []
    others = max(before["others_cpus"], after["others_cpus"])
    if others > BUSY:
        found.append(f"the machine was busy: other processes used {others:.1f} CPUs; quote the uncontended figures")
    if contended > 0.5:
        found.append(f"{100 * contended:.0f} % of the samples waited for a CPU; quote the uncontended figures")
    if max(before["stolen_cpus"], after["stolen_cpus"]) > BUSY / 2:
        found.append("the hypervisor gave CPU time to others; no sample is certain to be uncontended")
    if before["governor"] and before["governor"] != ["performance"]:
        found.append(f"the CPU governor is {', '.join(before['governor'])}, so clocks follow the load; set performance")
    if before["power_mode"] != after["power_mode"]:
        found.append(f"the power mode changed from {before['power_mode']} to {after['power_mode']}")
    hottest = max((after["temperatures_c"] or {}).values(), default=0.0)
    if hottest >= HOT_C:
        found.append(f"{hottest:.0f} °C at the end: clocks may have been throttled; cool it or measure for longer")
    return found


def _cpu_seconds(root: Path) -> tuple[float, float]:
    """CPU seconds that all processes used since boot, and those that a hypervisor took."""
    fields = (_text(root / "proc/stat") or "").split("\n", 1)[0].split()[1:]
    if len(fields) < 8:
        return 0.0, 0.0
    user, nice, system, _idle, _iowait, irq, softirq, steal = (int(field) for field in fields[:8])
    hertz = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100
    return (user + nice + system + irq + softirq) / hertz, steal / hertz


def _power_mode(root: Path) -> str | None:
    """`nvpmodel` keeps "pmode:0002 fmode:fanNull" in a file that everyone may read."""
    text = _text(root / "var/lib/nvpmodel/status")
    return text.split()[0].removeprefix("pmode:").lstrip("0") or "0" if text else None


def _text(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace").strip("\0\n ") or None
    except OSError:
        return None


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text and text.lstrip("-").isdecimal() else None

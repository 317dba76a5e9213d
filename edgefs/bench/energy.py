"""Energy counters, where the machine has one: RAPL (Intel, AMD), NVML (NVIDIA GPUs of a PC), tegrastats (Jetson).

Each counter covers everything on its power rail, so the rest of the machine is included.
"""

from __future__ import annotations

import contextlib
import ctypes
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol


class EnergyCounter(Protocol):
    """The name of a power rail, and the joules used on it since some fixed moment; only differences have a meaning."""

    name: str

    def joules(self) -> float: ...

    def close(self) -> None: ...


class Rapl:
    """A package of /sys/class/powercap. On most systems only root may read it."""

    def __init__(self, folder: Path) -> None:
        self.name = f"RAPL {(folder / 'name').read_text().strip()}"
        self._file = folder / "energy_uj"
        self._range = int((folder / "max_energy_range_uj").read_text())
        self._last = self._read()
        self._turns = 0

    def joules(self) -> float:
        now = self._read()
        self._turns += now < self._last  # the counter starts again at the end of its range, after minutes
        self._last = now
        return (self._turns * self._range + now) / 1e6

    def close(self) -> None:
        """There is nothing to free."""

    def _read(self) -> int:
        return int(self._file.read_text())


class Nvml:
    """The total energy of one GPU since its driver was loaded (Volta and later), from libnvidia-ml by ctypes."""

    def __init__(self, library: Any, index: int = 0) -> None:
        self.name = f"NVML GPU {index}"
        self._library = library
        self._device = ctypes.c_void_p()
        self._check(library.nvmlInit_v2())
        self._check(library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(self._device)))
        self.joules()  # an older GPU fails here and not in the middle of a run

    def joules(self) -> float:
        millijoules = ctypes.c_ulonglong()
        self._check(self._library.nvmlDeviceGetTotalEnergyConsumption(self._device, ctypes.byref(millijoules)))
        return millijoules.value / 1e3

    def close(self) -> None:
        self._library.nvmlShutdown()

    @staticmethod
    def _check(code: int) -> None:
        if code:
            raise OSError(f"NVML answered with error {code}")


class Tegrastats:
    """A Jetson's input rail in watts, as tegrastats prints it several times a second, summed over time.

    The rail is VDD_IN on Orin and Xavier NX, POM_5V_IN on the older Nano and TX2.
    """

    name = "tegrastats"
    RAIL = re.compile(r"\b(?:VDD_IN|POM_5V_IN) (\d+)(?:mW)?/")

    def __init__(
        self,
        lines: Iterable[str],
        now_s: Callable[[], float] = time.monotonic,
        stop: Callable[[], object] = lambda: None,
    ) -> None:
        self._lines, self._now_s, self.close = lines, now_s, stop
        self._joules = 0.0
        self._thread = threading.Thread(target=self._run, name="tegrastats", daemon=True)
        self._thread.start()

    def joules(self) -> float:
        return self._joules

    def _run(self) -> None:
        before_s: float | None = None
        for line in self._lines:
            found, now_s = self.RAIL.search(line), self._now_s()
            if found and before_s is not None:
                self._joules += int(found[1]) / 1e3 * (now_s - before_s)
            before_s = now_s


def open_counters(powercap: Path = Path("/sys/class/powercap")) -> list[EnergyCounter]:
    """Open every counter that this machine has and this user may read."""
    found: list[Any] = []
    for folder in sorted(powercap.glob("intel-rapl:[0-9]")):  # the packages; AMD's have the same name
        with contextlib.suppress(OSError, ValueError):
            found.append(Rapl(folder))
    with contextlib.suppress(OSError, AttributeError):  # no driver, or one that is too old
        found.append(Nvml(ctypes.CDLL("libnvidia-ml.so.1")))
    if command := shutil.which("tegrastats"):
        quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen([command, "--interval", "100"], text=True, **quiet)  # type: ignore[call-overload]
        found.append(Tegrastats(process.stdout or (), stop=lambda: (process.terminate(), process.wait())))
    return found

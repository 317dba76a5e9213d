"""Energy, where the machine has a counter: RAPL (Intel, AMD), NVML (NVIDIA GPUs of a PC), tegrastats (Jetson).

Each counts everything on its rail, so what the rest of the machine uses meanwhile is in the figure too.
"""

from __future__ import annotations

import contextlib
import ctypes
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol


class EnergyCounter(Protocol):
    """name: of the rail.  joules: used since some fixed moment; only differences mean anything."""

    name: str

    def joules(self) -> float: ...

    def close(self) -> None: ...


class Rapl:
    """A package of /sys/class/powercap; on most systems only root may read it."""

    def __init__(self, folder: Path) -> None:
        self.name = f"RAPL {(folder / 'name').read_text().strip()}"
        self._file = folder / "energy_uj"
        self._range = int((folder / "max_energy_range_uj").read_text())
        self._last = self._read()
        self._turns = 0

    def joules(self) -> float:
        now = self._read()
        self._turns += now < self._last  # the counter starts again at its range, after minutes
        self._last = now
        return (self._turns * self._range + now) / 1e6

    def close(self) -> None:
        """Nothing to free."""

    def _read(self) -> int:
        return int(self._file.read_text())


class Nvml:
    """The total of one GPU since its driver was loaded (Volta and later). library: libnvidia-ml, opened by ctypes."""

    def __init__(self, library: Any, index: int = 0) -> None:
        self.name = f"NVML GPU {index}"
        self._library = library
        self._device = ctypes.c_void_p()
        self._check(library.nvmlInit_v2())
        self._check(library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(self._device)))
        self.joules()  # else it would fail in the middle of a run, on an older GPU

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
    """A Jetson's input rail in watts, several times a second, summed up. lines: what tegrastats prints.

    The rail is VDD_IN on Orin and Xavier NX, POM_5V_IN on the older Nano and TX2.
    """

    name = "tegrastats"
    RAIL = re.compile(r"\b(?:VDD_IN|POM_5V_IN) (\d+)(?:mW)?/")

    def __init__(self, lines: Iterable[str], now_s: Callable[[], float] = time.monotonic) -> None:
        self._joules, self._at = 0.0, None
        self._now_s = now_s
        self._lines = lines
        self._thread = threading.Thread(target=self._run, name="tegrastats", daemon=True)
        self._thread.start()

    def joules(self) -> float:
        return self._joules

    def close(self) -> None:
        getattr(self._lines, "close", lambda: None)()

    def _run(self) -> None:
        before_s: float | None = None
        for line in self._lines:
            found, now_s = self.RAIL.search(line), self._now_s()
            if found and before_s is not None:
                self._joules += int(found[1]) / 1e3 * (now_s - before_s)
            before_s = now_s


class _Process:
    """The lines of a command, until `close`."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def __iter__(self) -> Iterator[str]:
        return iter(self._process.stdout or ())

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()


def open_counters(powercap: Path = Path("/sys/class/powercap")) -> list[EnergyCounter]:
    """Every counter that this machine has and lets us read."""
    found: list[EnergyCounter] = []
    for folder in sorted(powercap.glob("intel-rapl:[0-9]")):  # the packages; AMD's are called so too
        try:
            found.append(Rapl(folder))
        except (OSError, ValueError):
            continue
    with contextlib.suppress(OSError, AttributeError):  # no driver, or one that is too old
        found.append(Nvml(ctypes.CDLL("libnvidia-ml.so.1")))
    if command := shutil.which("tegrastats"):
        found.append(Tegrastats(_Process([command, "--interval", "100"])))
    return found

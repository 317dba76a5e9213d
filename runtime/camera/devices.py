"""The cameras that are connected to this machine, as the kernel names them (Video4Linux)."""

from __future__ import annotations

import re
from pathlib import Path

SYSFS = Path("/sys/class/video4linux")


def connected_cameras(sysfs: Path = SYSFS) -> dict[int, str]:
    """Return the name of every connected camera by its number, without opening one.

    A camera often has a second device node for its metadata; only the first node of each, with index 0, is returned.

    Args:
        sysfs: The folder in which the kernel lists video devices.
    """
    found = {}
    for node in sysfs.glob("video*"):
        number = re.fullmatch(r"video(\d+)", node.name)
        if number and _text(node / "index", "0") == "0":
            found[int(number[1])] = _text(node / "name", node.name)
    return dict(sorted(found.items()))


def _text(path: Path, default: str) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return default

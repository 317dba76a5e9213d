"""A disk that is really full."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest


class Disk:
    """A small file system in memory, which `fill` fills to the last byte."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._rest = folder, folder / "other-program"

    def fill(self) -> None:
        with self._rest.open("ab", buffering=0) as file, suppress(OSError):
            for size in (1 << 16, 1 << 12, 1):
                with suppress(OSError):
                    while file.write(bytes(size)):
                        pass

    def empty(self) -> None:
        self._rest.unlink(missing_ok=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """24 MiB in memory, of this test alone."""
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "edgefs-test", tmp_path], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        yield Disk(tmp_path)
    finally:
        subprocess.run(["umount", "--lazy", tmp_path], check=True)

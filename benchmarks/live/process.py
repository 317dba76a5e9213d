"""The app as users start it: a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from edgefs.demo.stream import Plan, record
from edgefs.reports.progress import show


@contextmanager
def app() -> Iterator[tuple[psutil.Process, str]]:
    """A running `edgefs live` that plays ten seconds of the virtual camera again and again."""
    with tempfile.TemporaryDirectory() as folder:
        plan = Plan(teach_s=0.5, test_s=1.0, tests=1)
        clip = record(Path(folder), plan=plan, progress=show).path
        options = ["--port", "0", "--gallery", f"{folder}/gallery.db", "--source", str(clip)]
        process = subprocess.Popen(
            [sys.executable, "-m", "edgefs.cli", "live", *options], stderr=subprocess.PIPE, text=True
        )
        try:
            assert process.stderr is not None
            found = None
            while found is None:
                found = re.search(r"edgefs live: (http://\S+)/", line := process.stderr.readline())
                assert line, "it ended"
            yield psutil.Process(process.pid), found[1]
        finally:
            process.terminate()
            process.wait()

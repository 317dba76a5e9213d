"""After a restart: how long the app takes to its first answer with a full gallery."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import websockets.sync.client as ws

from edgefs.demo.stream import Plan, record
from edgefs.reports.progress import show
from runtime.bundle import Bundle
from runtime.gallery import NewShot, open_gallery
from runtime.models import default_bundle
from runtime.teaching.enrolling import crop_of

CLASSES, SHOTS = 1000, 10


def fill(path: Path, bundle: Bundle) -> None:
    """Make a gallery of CLASSES × SHOTS random embeddings, with crops of the usual size."""
    dice = np.random.default_rng(0)
    crop = crop_of(dice.integers(0, 256, (30, 40, 3), np.uint8).repeat(12, 0).repeat(12, 1))
    with open_gallery(path, fingerprint=bundle.fingerprint, dim=bundle.dim) as gallery:
        for number in range(CLASSES):
            rows = dice.standard_normal((SHOTS, bundle.dim)).astype(np.float32)
            rows /= np.linalg.norm(rows, axis=1, keepdims=True)
            shots = [NewShot(row, crop, f"burst {number}", 0.9, "benchmark", 1e9) for row in rows]
            gallery.add(f"class {number}", shots)


def first_answer_s(command: list[str]) -> float:
    """Start the app; return the seconds until a client has the first answer to a frame."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        found = None
        while found is None:
            found = re.search(r"edgefs live: http://(\S+)/", line := process.stderr.readline())
            assert line, "it ended"
        with ws.connect(f"ws://{found[1]}/api/v1/events", max_size=None) as socket:
            while json.loads(socket.recv(timeout=60)).get("type") != "answer":
                pass
        return time.perf_counter() - begun
    finally:
        process.terminate()
        process.wait()


def restart(args: argparse.Namespace) -> dict[str, Any]:
    """From the start of the process to the first answer, with 1,000 classes of 10 shots."""
    with tempfile.TemporaryDirectory() as folder:
        clip = record(Path(folder), plan=Plan(teach_s=0.5, test_s=1.0, tests=1), progress=show).path
        gallery = Path(folder) / "gallery.db"
        fill(gallery, default_bundle())
        options = ["--port", "0", "--gallery", str(gallery), "--source", str(clip)]
        command = [sys.executable, "-m", "edgefs.cli", "live", *options]
        first, *later = [first_answer_s(command) for _ in range(args.starts + 1)]
        size = gallery.stat().st_size
    return {
        "classes": CLASSES,
        "shots": CLASSES * SHOTS,
        "gallery_mb": round(size / 1e6, 1),
        "first_start_s": round(first, 2),
        "restart_s": {"median": round(float(np.median(later)), 2), "max": round(max(later), 2), "n": len(later)},
    }

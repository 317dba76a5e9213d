"""What this machine has for edgefs, and the install line for what is missing.

examples:
  edgefs doctor
  edgefs doctor --json report.json
  edgefs doctor --tune         # measure engines and threads, keep the fastest for engine="auto"
"""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
import re
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgefs import __version__
from edgefs.cli.options import load_bundle
from edgefs.reports.tables import table
from runtime.engines.choices import file
from runtime.errors import EdgefsError, OpenCVMissing
from runtime.opencv import load_cv2

# import name, what it is for, the line that brings it
PARTS = (
    ("onnxruntime", "engine", "pip install 'edgefs[pc]'"),
    ("openvino", "engine", "pip install 'edgefs[pc]'"),
    ("skimage", "photographs of the demo", "pip install 'edgefs[demo]'"),
    ("torch", "training and export", "pip install 'edgefs[train,export]'"),
    ("onnx", "export", "pip install 'edgefs[export]'"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--bundle", metavar="PATH", help="bundle to verify (default: the embedded one)")
    parser.add_argument(
        "--tune", action="store_true", help="measure every engine and thread count on the bundle; keep the fastest"
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    rows = [_opencv(), *(_part(*part) for part in PARTS)]
    bundle = _bundle(args.bundle)
    report: dict[str, Any] = {
        "edgefs": __version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs",
        "parts": rows,
        "cameras": sorted(str(path) for path in Path("/dev").glob("video*")),
        "bundle": bundle,
        "passed": rows[0]["version"] is not None and bundle["error"] is None,
    }
    print(f"edgefs {__version__}, Python {report['python']}, {report['machine']}")
    print(
        table(
            [(row["name"], row["version"] or "missing", row["for"], row["note"]) for row in rows],
            ("part", "version", "for", "note"),
        )
    )
    print(f"cameras: {', '.join(report['cameras']) or 'none at /dev/video*'}")
    print(f"bundle {bundle['name']}: {bundle['error'] or 'verified'}")
    for engine in bundle["engines"]:
        what = f"{engine.name} {engine.version}, {engine.artifact} {engine.precision}"
        print(f"  {what}: golden frames agree to {engine.golden_cosine:.5f}")
    if args.tune and bundle["error"] is None:
        report["tuned"] = _tune(args.bundle)
    return report


def _tune(path: str | None) -> dict[str, Any]:
    from edgefs.bench.tune import tune

    tuned = tune(load_bundle(path))
    rows = [(s.engine, s.threads, round(s.p50_ms, 3), "kept" if s == tuned.best else "") for s in tuned.settings]
    print(table(rows, ("engine", "threads", "p50 ms", "")))
    where = file() if tuned.kept else f"nowhere: {file()} cannot be written"
    print(f'engine="auto" takes {tuned.best.engine} with {tuned.best.threads} threads from now on; kept in {where}')
    return asdict(tuned)


def _part(name: str, purpose: str, install: str) -> dict[str, Any]:
    """Versions come from the installed metadata: importing torch only to ask its version takes seconds."""
    for distribution in {"skimage": ("scikit-image",), "onnxruntime": ("onnxruntime", "onnxruntime-gpu")}.get(
        name, (name,)
    ):
        try:
            return {"name": name, "version": importlib.metadata.version(distribution), "for": purpose, "note": ""}
        except importlib.metadata.PackageNotFoundError:
            continue
    return {"name": name, "version": None, "for": purpose, "note": install}


def _opencv() -> dict[str, Any]:
    row = {"name": "cv2", "version": None, "for": "pictures, videos, cameras", "note": ""}
    try:
        cv2 = load_cv2()
    except OpenCVMissing as error:
        return {**row, "note": str(error)}
    build = cv2.getBuildInformation()
    has = {name: bool(re.search(rf"^\s+{name}:\s+YES", build, re.MULTILINE)) for name in ("FFMPEG", "GStreamer")}
    window = (
        "window"
        if hasattr(cv2, "imshow") and "GUI:                           NONE" not in build
        else "no window (headless)"
    )
    notes = [window, *(f"{name}: {'yes' if there else 'no'}" for name, there in has.items())]
    if not has["GStreamer"] and sys.platform == "linux":
        notes.append("a CSI camera of a Jetson needs JetPack's own cv2")
    return {**row, "version": cv2.__version__, "note": "; ".join(notes)}


def _bundle(path: str | None) -> dict[str, Any]:
    report: dict[str, Any] = {"name": path or "embedded default", "engines": [], "error": None}
    try:
        report["engines"] = load_bundle(path).verify()
    except EdgefsError as error:
        report["error"] = str(error)
    return report

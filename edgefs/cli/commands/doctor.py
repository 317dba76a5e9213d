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
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefs import __version__
from edgefs.cli.options import add_bundle_option, load_bundle
from edgefs.models.advice import advise
from edgefs.models.ladder import NAMES
from edgefs.models.store import is_pulled, open_model
from edgefs.reports.tables import table
from runtime.bundle import Bundle
from runtime.engines.choices import file
from runtime.errors import EdgefsError, OpenCVMissing
from runtime.opencv import load_cv2

if TYPE_CHECKING:
    from edgefs.bench.tune import Tuned

# extra of the distribution -> what its packages are for
PURPOSES = {
    "pc": "running a bundle",
    "demo": "the demo's photographs",
    "app": "the live app",
    "train": "training",
    "export": "export",
    "models": "building the models standard and large",
    "timm": "networks of timm",
    "bulk": "embedding many pictures",
    "channels": "messages to people, by Apprise",
    "tensorrt": "TensorRT engines",
    "tensorrt-rtx": "TensorRT for RTX engines",
}


def configure(parser: argparse.ArgumentParser) -> None:
    add_bundle_option(parser)
    parser.add_argument(
        "--tune", action="store_true", help="measure every engine and thread count on the bundle; keep the fastest"
    )


def run(args: argparse.Namespace) -> dict[str, Any]:
    rows = [_opencv(), *_parts()]
    bundle = _bundle(args.bundle, args.trusted_keys)
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
        opened = load_bundle(args.bundle, args.trusted_keys)
        report["tuned"] = asdict(_tune(opened))
        report["ladder"] = _ladder({opened.fingerprint: report["tuned"]["best"]["p50_ms"]})
    return report


def _ladder(known_ms: dict[str, float]) -> list[dict[str, Any]]:
    """Say which model keeps up with which frame rate. known_ms: what was tuned already, by fingerprint."""
    times = {}
    for name in filter(is_pulled, NAMES):
        model = open_model(name)
        times[name] = known_ms.get(model.fingerprint) or _tune(model).best.p50_ms
    found = advise(times)
    for advice in found:
        print(advice.sentence)
    return [asdict(advice) for advice in found]


def _tune(bundle: Bundle) -> Tuned:
    from edgefs.bench.tune import tune

    tuned = tune(bundle)
    rows = [(s.engine, s.threads, round(s.p50_ms, 3), "kept" if s == tuned.best else "") for s in tuned.settings]
    print(table(rows, ("engine", "threads", "p50 ms", "")))
    where = file() if tuned.kept else f"nowhere: {file()} cannot be written"
    print(
        f'{bundle.name}: engine="auto" uses {tuned.best.engine} with {tuned.best.threads} threads from now on; '
        f"stored in {where}"
    )
    return tuned


def _parts() -> Iterator[dict[str, Any]]:
    """The packages of every extra. Versions come from metadata, because importing torch takes seconds."""
    extras: dict[str, list[str]] = {}
    for requirement in importlib.metadata.requires("edgefs") or ():
        found = re.match(r"([\w-]+)[^\[\]]*extra == [\"']([\w-]+)", requirement)
        if found and found[2] in PURPOSES and "opencv" not in found[1] and "python_version" not in requirement:
            extras.setdefault(found[1].replace("_", "-"), []).append(found[2])
    for name, unsorted in extras.items():
        needed = sorted(unsorted, key=list(PURPOSES).index)
        version = next(filter(None, map(_version, (name, f"{name}-gpu"))), None)
        note = "" if version else f"pip install 'edgefs[{','.join(needed)}]'"
        if name == "tensorrt" and note:
            note += "; on a Jetson it comes with JetPack"
        yield {"name": name, "version": version, "for": ", ".join(PURPOSES[extra] for extra in needed), "note": note}


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


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


def _bundle(path: str | None, trusted_keys: Path | None = None) -> dict[str, Any]:
    report: dict[str, Any] = {"name": path or "embedded default", "engines": [], "error": None}
    try:
        report["engines"] = load_bundle(path, trusted_keys).verify()
    except EdgefsError as error:
        report["error"] = str(error)
    return report

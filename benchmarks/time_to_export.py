"""How long `edgefs export` takes, from the shell to the bundle: MobileNetV3-small with random weights, stage by stage.

    python -m benchmarks.time_to_export --photos office_caltech10/amazon --verify grocery/train

float16 to ONNX and OpenVINO with the default verification, then int8 with 300 frames of --photos, verified on 400
pictures of --verify. Each is the command itself in a process of its own: the seconds hold all that a user waits for.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import save
from edgefs.bench import machine
from edgefs.reports.tables import table
from runtime.engines.base import cpus

STAGE = re.compile(r"^ *([\d.]+) s  (.+)$", re.MULTILINE)  # what the command prints where it has no terminal


def export(precision: str, args: argparse.Namespace) -> dict[str, Any]:
    """Run the command once; its exit status may say that int8 of random weights fails a gate."""
    options = ["--precisions", precision]
    if precision == "int8":
        options += ["--calibrate", str(args.photos), "--frames", "300", "--verify", str(args.verify)]
    with tempfile.TemporaryDirectory() as folder:
        options += ["--out", f"{folder}/small.edgefs"]
        command = [
            sys.executable,
            "-m",
            "edgefs.cli",
            "export",
            "--backbone",
            "mobilenet_v3_small",
            "--weights",
            "none",
        ]
        begin = time.perf_counter()
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - begin
        if not Path(folder, "small.edgefs").exists():
            raise SystemExit(f"the export must write a bundle, but ended with: {done.stderr[-400:]}")
    begins = [(float(at), name) for at, name in STAGE.findall(done.stderr)]
    ends = [at for at, _ in begins[1:]]
    stages = {name: round(end - at, 1) for (at, name), end in zip(begins, ends, strict=False)}
    return {"precision": precision, "seconds": round(seconds, 1), "stages_s": stages}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--verify", type=Path, required=True)
    args = parser.parse_args()
    before = machine.condition()
    runs = [export(precision, args) for precision in ("fp16", "int8")]
    print(table([(run["precision"], run["seconds"]) for run in runs], ("precision", "seconds")))
    facts = {"network": "mobilenet_v3_small", "cpus": cpus(), "before": before, "after": machine.condition()}
    print(f"written to {save('time-to-export', {**facts, 'runs': runs})}")


if __name__ == "__main__":
    main()

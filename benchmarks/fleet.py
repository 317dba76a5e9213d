"""One gallery on many devices: how soon a change is everywhere, and how soon a new device has everything.

    python -m benchmarks.fleet --seconds 300

It starts a PostgreSQL of its own (tests/postgres_server.py). The devices are in several processes on the same machine,
each with its own copy, connection and files. "lag" is the time from the acknowledgement of a change on the device that
was taught to the moment at which another device recognises from it; every change is measured on every other device.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psycopg

from benchmarks.common import save
from edgefs.reports.tables import table
from runtime.fleet.database import init
from runtime.fleet.gallery import FleetGallery
from runtime.fleet.opening import open_fleet
from runtime.gallery import NewShot
from runtime.models import default_bundle

ROOT = Path(__file__).parents[1]
DIM, MODEL, PROCESSES, DRAIN_S = default_bundle().dim, "f" * 64, 5, 60.0


def shot(rng: np.random.Generator, crop: bytes | None) -> NewShot:
    row = rng.standard_normal(DIM).astype(np.float32)
    return NewShot(row / np.linalg.norm(row), crop, "burst", 1.0, "benchmark", 0.0)


def record_arrivals(gallery: FleetGallery, arrived: list[tuple[str, int, float]]) -> None:
    """Note when the shots of other devices can be recognised."""
    bring = gallery._replica.bring

    def noted(shots: dict[Any, Any]) -> None:
        bring(shots)
        now = time.monotonic()
        arrived.extend((key.origin, key.n, now) for key in shots if key.i == 0)

    gallery._replica.bring = noted  # type: ignore[method-assign, assignment]


def work(url: str, folder: Path, names: list[str], seconds: float, a_second: float) -> dict[str, Any]:
    """Be several devices for some seconds; return when their changes were made, and when those of others came."""
    galleries = [
        open_fleet(f"{url}?device={name}&copy={folder}/{name}.db", fingerprint=MODEL, dim=DIM) for name in names
    ]
    arrived: list[tuple[str, int, float]] = []
    for gallery in galleries:
        record_arrivals(gallery, arrived)
    print("ready", flush=True)
    sys.stdin.readline()
    made, rng, crop = [], np.random.default_rng(len(names)), bytes(5000)
    clock, start = random.Random(names[0]), time.monotonic()
    due = start
    while (due := due + clock.expovariate(a_second)) < start + seconds:
        time.sleep(max(0.0, due - time.monotonic()))
        gallery = clock.choice(galleries)
        gallery.add(f"class {clock.randrange(100)}", [shot(rng, crop)])
        made.append((gallery._replica.origin, gallery._replica._next - 1, time.monotonic()))
    print(len(made), flush=True)
    wanted, end = int(sys.stdin.readline()), time.monotonic() + DRAIN_S
    while min(shots := [count(gallery) for gallery in galleries]) < wanted and time.monotonic() < end:
        time.sleep(0.2)
    for gallery in galleries:
        gallery.close()
    return {"made": made, "arrived": arrived, "shots": shots}


def count(gallery: FleetGallery) -> int:
    return sum(len(one.ids) for one in gallery.classes.values())


def measure_lag(url: str, folder: Path, devices: int, a_second: float, seconds: float) -> dict[str, Any]:
    names = [[f"d{i}" for i in range(devices) if i % PROCESSES == process] for process in range(PROCESSES)]
    each = [url, str(folder), str(seconds), str(a_second / PROCESSES)]
    command = [sys.executable, "-m", "benchmarks.fleet", "--work", *each]
    processes = [
        subprocess.Popen([*command, *some], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for some in names
    ]
    for process in processes:
        process.stdout.readline()  # type: ignore[union-attr]
    for process in processes:
        process.stdin.write("go\n")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
    total = sum(int(process.stdout.readline()) for process in processes)  # type: ignore[union-attr]
    for process in processes:
        process.stdin.write(f"{total}\n")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
    reports = [json.loads(process.communicate()[0]) for process in processes]
    made = {(origin, n): at for report in reports for origin, n, at in report["made"]}
    lags = [at - made[origin, n] for report in reports for origin, n, at in report["arrived"] if (origin, n) in made]
    shots = [found for report in reports for found in report["shots"]]
    with psycopg.connect(url) as db:
        (size,) = db.execute("SELECT pg_total_relation_size('edgefs.events')").fetchone()  # type: ignore[misc]
    return {
        "devices": devices,
        "seconds": seconds,
        "changes": len(made),
        "changes_a_second": len(made) / seconds,
        "lag_p50_ms": 1000 * float(np.percentile(lags, 50)),
        "lag_p99_ms": 1000 * float(np.percentile(lags, 99)),
        "lag_max_ms": 1000 * max(lags),
        "arrivals_missing": len(made) * (devices - 1) - len(lags),
        "bytes_an_event": size / len(made),
        "devices_that_lack_a_shot": sum(found != len(made) for found in shots),
    }


def measure_new_device(url: str, folder: Path, shots: int) -> dict[str, Any]:
    rng, per_class = np.random.default_rng(0), 100
    with open_fleet(f"{url}?device=old&copy={folder}/old.db", fingerprint=MODEL, dim=DIM) as old:
        for c in range(shots // per_class):
            old.add(f"class {c}", [shot(rng, None) for _ in range(per_class)])
        while old.status().unsent:
            time.sleep(0.5)
    start = time.monotonic()
    with open_fleet(f"{url}?device=new&copy={folder}/new.db", fingerprint=MODEL, dim=DIM) as new:
        while count(new) < shots:
            time.sleep(0.05)
        ready_s = time.monotonic() - start
    start = time.monotonic()
    with open_fleet(f"{url}?device=new&copy={folder}/new.db", fingerprint=MODEL, dim=DIM, connect=False):
        return {"shots": shots, "dim": DIM, "ready_s": ready_s, "opened_again_s": time.monotonic() - start}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300.0, help="how long changes are made")
    parser.add_argument("--devices", type=int, default=50)
    parser.add_argument("--rate", type=float, default=10.0, help="changes a second, of all devices together")
    parser.add_argument("--shots", type=int, default=100_000, help="of the gallery that a new device fetches")
    parser.add_argument("--work", nargs="+", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.work:
        url, folder, seconds, rate, *names = args.work
        print(json.dumps(work(url, Path(folder), names, float(seconds), float(rate))))
        return
    spec = importlib.util.spec_from_file_location("postgres_server", ROOT / "tests" / "postgres_server.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    server = module.PostgresServer()
    try:
        figures = {}
        for what in ("lag", "new_device"):
            url = server.database()
            init(url)
            with tempfile.TemporaryDirectory() as folder:
                if what == "lag":
                    figures[what] = measure_lag(url, Path(folder), args.devices, args.rate, args.seconds)
                else:
                    figures[what] = measure_new_device(url, Path(folder), args.shots)
            rows = [(name, f"{value:.1f}") for name, value in figures[what].items()]
            print(table(rows, (what, "")), flush=True)
        print(save("fleet", figures))
    finally:
        server.stop()


if __name__ == "__main__":
    main()

"""A device as a process: it reads commands as JSON lines, changes its gallery, and answers each when it is durable.

Run it as: python fleet_device.py URL SECONDS_THAT_ITS_CLOCK_IS_WRONG
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np

from runtime.errors import EdgefsError
from runtime.fleet.gallery import FleetGallery
from runtime.fleet.opening import open_fleet
from runtime.gallery import NewShot

DIM, MODEL = 8, "f" * 64


def shot(marker: str) -> NewShot:
    """A shot whose bytes can be found again in any file."""
    row = np.random.default_rng(list(marker.encode())).standard_normal(DIM).astype(np.float32)
    return NewShot(row, f"<{marker}>".encode() * 40, "burst", 1.0, "test", 1e9)


def content(gallery: FleetGallery) -> dict[str, list[list[str]]]:
    """Label -> the crops and embeddings of its shots, and the negative examples."""
    return {
        label: sorted(
            [(gallery.crop(record.id) or b"").decode()[:40], record.embedding.tobytes().hex(), str(record.negative)]
            for record in gallery.records(label)
        )
        for label in gallery.classes
    }


def do(gallery: FleetGallery, command: dict) -> object:
    kind, arguments = command["do"], command.get("with", [])
    if kind == "teach":
        return gallery.add(arguments[0], [shot(marker) for marker in arguments[1]])
    if kind == "forget now":
        return gallery.forget(arguments[0], now=True)
    if kind in ("forget", "rename", "merge", "undo", "redo"):
        return getattr(gallery, kind)(*arguments)
    if kind == "remove":
        return gallery.remove_shot(int(gallery.classes[arguments[0]].ids[0]))
    if kind == "move":
        return gallery.move_shot(int(gallery.classes[arguments[0]].ids[0]), arguments[1])
    if kind == "purge":
        return gallery.purge(now=True).shots
    if kind == "sync":
        return bool(gallery.sync and gallery.sync.wait(arguments[0])) and not gallery.status().crops_to_come
    if kind == "content":
        return content(gallery)
    if kind == "when":  # how long until a class is there, in the clock that all processes of a machine share
        while arguments[0] not in gallery.classes:
            time.sleep(0.002)
        return time.monotonic()
    if kind == "labels":
        return list(gallery.classes)
    return vars(gallery.status())


def main(url: str, offset_s: float) -> None:
    with open_fleet(url, fingerprint=MODEL, dim=DIM, wall=lambda: time.time() + offset_s) as gallery:
        print(json.dumps({"ready": True}), flush=True)
        for line in sys.stdin:
            n = gallery._replica._next
            try:
                answer = {"ok": do(gallery, json.loads(line))}
            except (EdgefsError, KeyError) as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            made = [[gallery._replica.origin, i] for i in range(n, gallery._replica._next)]
            print(json.dumps({**answer, "made": made}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))

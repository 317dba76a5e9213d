"""Losing the camera: a real RTSP server that is killed, or stopped, and comes back."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import psutil

from benchmarks.live.rtsp_server import BITS, RtspServer, made_ms
from benchmarks.live.serving import serving
from runtime.app.core.camera_reader import camera_source
from runtime.app.core.service import Service
from runtime.models import default_bundle
from runtime.recognizer import Recognizer


def rtsp(args: argparse.Namespace) -> dict[str, Any]:
    """Kill the server, or stop it, again and again: when it shows, when it is back, how old a live picture is."""
    server = RtspServer()
    ages: list[float] = []
    before: dict[str, int] | None = None
    shown: dict[str, list[float]] = {"killed": [], "stopped": []}
    recovered: dict[str, list[float]] = {"killed": [], "stopped": []}
    with (
        Recognizer(default_bundle(), threads=1) as recognizer,
        serving(recognizer, camera_source(server.url, loop=False), lambda _: None) as (service, _),
    ):
        service.start()
        until(lambda: live_age_ms(service, ages) is not None)
        for cycle in range(args.cycles):
            how = "killed" if cycle % 2 else "stopped"
            (server.kill if how == "killed" else server.stop)()
            shown[how].append(until(lambda: service.camera("0").state != "live"))
            time.sleep(1 + cycle % 4)
            (server.start if how == "killed" else server.go_on)()
            recovered[how].append(until(lambda: live_age_ms(service, ages) is not None))
            until_s = time.monotonic() + 1
            while time.monotonic() < until_s:
                live_age_ms(service, ages)
                time.sleep(0.02)
            before = before or owned()  # after the first cycle: libraries start threads when they are first used
            print(f"{cycle + 1}/{args.cycles} {how}: shown {shown[how][-1]:.2f} s, back {recovered[how][-1]:.2f} s")
        after = owned()
    server.kill()
    both = {"shown_s": shown, "recovered_s": recovered}
    figures = {
        name: {
            how: {
                "p50": round(float(np.quantile(s, 0.5)), 2),
                "p95": round(float(np.quantile(s, 0.95)), 2),
                "worst": max(s),
            }
            for how, s in [*by.items(), ("all", by["killed"] + by["stopped"])]
            if s
        }
        for name, by in both.items()
    }
    oldest = {"samples": len(ages), "p99": float(np.quantile(ages, 0.99)), "worst": max(ages)}
    return {
        "cycles": args.cycles,
        **figures,
        "live_picture_age_ms": oldest,
        "owned_before": before,
        "owned_after": after,
    }


def live_age_ms(service: Service, ages: list[float]) -> float | None:
    """How old the picture is that is shown as live, by the clock painted into it; None while none is."""
    image = service.workers["0"].preview.newest
    if image is None or service.camera("0").state != "live":
        return None
    age_ms = float((int(time.monotonic() * 1000) - made_ms(image)) % 2**BITS)
    ages.append(age_ms)
    return age_ms


def until(what: Callable[[], object], timeout_s: float = 60) -> float:
    began_s = time.monotonic()
    while not what():
        if time.monotonic() - began_s > timeout_s:
            raise TimeoutError("it did not happen in a minute")
        time.sleep(0.01)
    return round(time.monotonic() - began_s, 3)


def owned() -> dict[str, int]:
    """What this process holds."""
    me = psutil.Process()
    return {"threads": me.num_threads(), "handles": me.num_fds(), "children": len(me.children())}

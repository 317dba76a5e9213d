"""The live app as a whole: from glass to answer, with viewers, under attack, losing its camera, over time.

python -m benchmarks.live pipeline               # 720p30 in real time, without and with 4 viewers: 2 minutes
python -m benchmarks.live sockets                # 200 half-open and trickling sockets beside a good client
python -m benchmarks.live rtsp --cycles 20       # a real RTSP server killed or stopped, and back
python -m benchmarks.live soak --minutes 10      # RSS, threads, handles; --minutes 1440 for a day
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.common import save
from benchmarks.rtsp import BITS, RtspServer, made_ms
from edgefs.bench.clock import Sample
from edgefs.bench.percentiles import figures as percentiles
from edgefs.demo.progress import show
from edgefs.demo.stream import Plan, Recording, record
from runtime.app.eye import Source
from runtime.app.messages import Answer
from runtime.app.metrics import Metrics
from runtime.app.server import Server, build, listen, policy_for
from runtime.app.service import Service
from runtime.app.sources import camera_source
from runtime.camera import open_camera
from runtime.models import default_bundle
from runtime.recognizer import Recognizer

ATTACKERS = 200
HALVES = (
    b"",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    b"POST /api/v1/recognize HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\nContent-Length: 99999\r\n\r\n",
    b"GET ",
)


# -- from glass to answer


def pipeline(args: argparse.Namespace) -> dict[str, Any]:
    """The demo's clip, 1280 x 720 at 30 fps, played in real time: once alone, once with viewers."""
    with tempfile.TemporaryDirectory() as folder:
        recording = record(Path(folder), plan=Plan(tests=2), progress=show)
        with Recognizer(default_bundle(), gallery=Path(folder) / "gallery.db", threads=1) as recognizer:
            teach(recognizer, recording)
            runs = {n: play(recognizer, recording.path, n) for n in (0, args.viewers)}
    alone, watched = runs[0]["recognise"], runs[args.viewers]["recognise"]
    ratio = None
    if alone["p99_ms"] and watched["p99_ms"]:
        ratio = round(watched["p99_ms"] / alone["p99_ms"], 2)
    return {"runs": [{"viewers": n, **run} for n, run in runs.items()], "recognise_p99_ratio": ratio}


def teach(recognizer: Recognizer, recording: Recording) -> None:
    spans = recording.taught
    frames: dict[str, list[np.ndarray]] = {span.subject: [] for span in spans}
    with open_camera(recording.path) as clip:
        for frame in clip:
            for span in spans:
                if span.start_s <= frame.time_s < span.end_s:
                    frames[span.subject].append(frame.image)
            if frame.time_s > spans[-1].end_s:
                break
    for label, shots in frames.items():
        recognizer.enroll(label, shots)


def play(recognizer: Recognizer, path: Path, viewers: int) -> dict[str, Any]:
    answers: list[Answer] = []
    with serving(recognizer, camera_source(str(path), loop=False), answers.append) as (service, url):
        watching = watch(url, viewers)
        cpu_s, began_s = cpu_time_s(), time.monotonic()
        service.start()
        while not service.ended:
            time.sleep(0.1)
        wall_s, cpu_s = time.monotonic() - began_s, cpu_time_s() - cpu_s
        drops = service.camera("0").drops
    watching()
    recognise = [sum(answer.timings_ms[stage] for stage in ("preprocess", "embed", "match")) for answer in answers]
    stages = {
        stage: round(float(np.median([a.timings_ms[stage] for a in answers])), 2) for stage in answers[0].timings_ms
    }
    return {
        "frames": len(answers) + drops,
        "answered": len(answers),
        "dropped": drops,
        "fps": round(len(answers) / wall_s, 1),
        "glass_to_answer": every([answer.age_ms for answer in answers]),
        "recognise": every(recognise),
        "median_ms": stages,
        "cpu_share_of_all_cores": round(cpu_s / wall_s / (os.cpu_count() or 1), 3),
    }


@contextmanager
def serving(
    recognizer: Recognizer, source: Source, on_answer: Callable[[Answer], None]
) -> Iterator[tuple[Service, str]]:
    metrics = Metrics()

    def answered(answer: Answer) -> None:
        metrics.answer(answer)
        on_answer(answer)

    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    service = Service(recognizer, [source], device="bench", on_answer=answered)
    with Server(build(service, policy_for("127.0.0.1", port, None), metrics), listener):
        try:
            yield service, f"http://127.0.0.1:{port}"
        finally:
            service.close()


def watch(url: str, viewers: int) -> Callable[[], None]:
    """Start viewers in a process of their own; returns what waits for their end."""
    if not viewers:
        return lambda: None
    command = [sys.executable, "-m", "benchmarks.viewer", url, "--viewers", str(viewers)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()

    def end() -> None:
        process.terminate()
        process.wait()

    return end


def every(samples_ms: list[float]) -> dict[str, Any]:
    """Percentiles of all samples; none is set aside as disturbed."""
    points = percentiles([Sample(ms) for ms in samples_ms])
    return {name: value for name, value in points.items() if "undisturbed" not in name}


def cpu_time_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


# -- the app as a process


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


def get(url: str) -> float:
    """Seconds until the whole answer was there."""
    began_s = time.monotonic()
    with urllib.request.urlopen(url, timeout=30) as answer:
        answer.read()
    return time.monotonic() - began_s


def sockets(args: argparse.Namespace) -> dict[str, Any]:
    """A good client beside ATTACKERS sockets that send nothing, or a byte now and then, and come again when cut off."""
    with app() as (process, url):
        paths = [f"{url}/healthz", f"{url}/api/v1/state", f"{url}/api/v1/cameras/0/snapshot"]
        time.sleep(3)
        calm = [get(path) * 1e3 for _ in range(60) for path in paths]
        before = process.memory_info().rss
        stop, cut = threading.Event(), [0]
        attacker = threading.Thread(target=attack, args=(int(url.rpartition(":")[2]), stop, cut))
        attacker.start()
        until_s = time.monotonic() + args.seconds
        waits = []
        while time.monotonic() < until_s:
            waits += [get(path) * 1e3 for path in paths]
        grown = process.memory_info().rss - before
        stop.set()
        attacker.join()
    return {
        "attackers": ATTACKERS,
        "seconds": args.seconds,
        "cut_off": cut[0],
        "good_client_before": every(calm),
        "good_client": every(waits) | {"worst_ms": round(max(waits), 1)},
        "rss_growth_mb": round(grown / 1e6, 1),
    }


def attack(port: int, stop: threading.Event, cut: list[int]) -> None:
    def come(i: int) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", port))
        sock.send(HALVES[i % len(HALVES)])
        return sock

    held = [come(i) for i in range(ATTACKERS)]
    while not stop.wait(0.5):
        for i, sock in enumerate(held):
            try:
                sock.setblocking(False)
                silent = i % len(HALVES) == 0
                gone = not (sock.recv(1, socket.MSG_PEEK) if silent else sock.send(b"x"))
            except BlockingIOError:
                gone = False
            except OSError:
                gone = True
            if gone:
                cut[0] += 1
                sock.close()
                held[i] = come(i)
    for sock in held:
        sock.close()


# -- losing the camera


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
    image = service.eyes["0"].preview.newest
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


# -- over time


def soak(args: argparse.Namespace) -> dict[str, Any]:
    """The app with a viewer for a long time; the slope is fitted after a fifth of it."""
    samples: list[tuple[float, float, int, int]] = []
    with app() as (process, url):
        watching = watch(url, 1)
        until_s = time.monotonic() + args.minutes * 60
        while time.monotonic() < until_s:
            time.sleep(min(5.0, args.minutes * 6))
            with process.oneshot():
                memory, threads = process.memory_info().rss / 1e6, process.num_threads()
            samples.append((time.monotonic(), memory, threads, process.num_fds()))
            if len(samples) % 12 == 0:
                print(f"{len(samples) * 5 // 60} min: {memory:.1f} MB, {threads} threads, {samples[-1][3]} handles")
        watching()
    warm = np.array(samples[len(samples) // 5 :])
    slope = np.polyfit((warm[:, 0] - warm[0, 0]) / 3600, warm[:, 1], 1)[0]
    return {
        "minutes": args.minutes,
        "rss_mb": {"warm": round(float(warm[0, 1]), 1), "end": round(float(warm[-1, 1]), 1)},
        "rss_slope_mb_per_hour": round(float(slope), 2),
        "threads": [int(warm[:, 2].min()), int(warm[:, 2].max())],
        "handles": [int(warm[:, 3].min()), int(warm[:, 3].max())],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    for part, option, default in (
        (pipeline, "--viewers", 4),
        (sockets, "--seconds", 30),
        (rtsp, "--cycles", 20),
        (soak, "--minutes", 10.0),
    ):
        command = parts.add_parser(part.__name__, help=part.__doc__)
        command.add_argument(option, type=type(default), default=default)
        command.set_defaults(measure=part)
    args = parser.parse_args()
    figures = args.measure(args)
    print(figures)
    print(save(f"live-{args.part}", figures))


if __name__ == "__main__":
    main()

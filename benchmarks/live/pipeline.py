"""From glass to answer: a clip played in real time, without and with people who watch."""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.live.serving import every, serving, watch
from edgefs.demo.stream import Plan, Recording, record
from edgefs.reports.progress import show
from runtime.app.core.camera_reader import camera_source
from runtime.app.core.messages import Answer
from runtime.camera import open_camera
from runtime.models import default_bundle
from runtime.recognizer import Recognizer


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
        while not service.cameras.ended:
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


def cpu_time_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime

"""The live app as a whole: from glass to answer, with viewers, under attack, losing its camera, over time.

python -m benchmarks.live pipeline               # 720p30 in real time, without and with 4 viewers: 2 minutes
python -m benchmarks.live sockets                # 200 half-open and trickling sockets beside a good client
python -m benchmarks.live rtsp --cycles 20       # a real RTSP server killed or stopped, and back
python -m benchmarks.live page                   # in Chromium: first picture, first tile, bytes, CPU with one viewer
python -m benchmarks.live restart --starts 5     # to the first answer, with 1,000 classes of 10 shots
python -m benchmarks.live soak --minutes 10      # RSS, threads, handles with --viewers 1; --minutes 1440 for a day
"""

from __future__ import annotations

import argparse

from benchmarks.common import save
from benchmarks.live.page import page
from benchmarks.live.pipeline import pipeline
from benchmarks.live.restart import restart
from benchmarks.live.rtsp import rtsp
from benchmarks.live.soak import soak
from benchmarks.live.sockets import sockets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(dest="part", required=True)
    for part, options in (
        (pipeline, {"--viewers": 4}),
        (page, {"--rounds": 3}),
        (sockets, {"--seconds": 30}),
        (rtsp, {"--cycles": 20}),
        (restart, {"--starts": 5}),
        (soak, {"--minutes": 10.0, "--viewers": 1}),
    ):
        command = parts.add_parser(part.__name__, help=part.__doc__)
        for option, default in options.items():
            command.add_argument(option, type=type(default), default=default)
        command.set_defaults(measure=part)
    args = parser.parse_args()
    figures = args.measure(args)
    print(figures)
    print(save(f"live-{args.part}", figures))


if __name__ == "__main__":
    main()

"""The live app: point a camera, press, name it, done. Opens on http://127.0.0.1:8080/ unless told otherwise.

examples:
  edgefs live                                   # camera 0
  edgefs live --source rtsp://user:password@camera/stream --source 1
  edgefs live --source clip.mp4 --open
  edgefs live --source demo                     # a virtual camera: no camera needed
  edgefs live --headless --source 0             # JSON lines on stdout
  edgefs live --host 0.0.0.0                    # for others, too: prints an access token
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from edgefs.cli.options import add_recognizer_options, load_bundle
from runtime.app.live import Options
from runtime.app.live import run as run_live
from runtime.app.service import Source
from runtime.app.sources import camera_source


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source",
        action="append",
        metavar="WHAT",
        help="camera number, URL, video, folder, GStreamer pipeline, or demo; several times for several (default: 0)",
    )
    add_recognizer_options(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=8080, help="port to listen on; 0 takes a free one (default: 8080)")
    parser.add_argument("--allow-host", action="append", default=[], metavar="NAME", help="another name of this server")
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="where the digest of the access token is kept")
    parser.add_argument("--new-token", action="store_true", help="make another access token; the old one ends")
    parser.add_argument("--headless", action="store_true", help="no page: JSON lines on stdout")


def run(args: argparse.Namespace) -> dict[str, Any]:
    sources = [_source(text, loop=not args.headless) for text in args.source or ["0"]]
    run_live(
        Options(
            bundle=load_bundle(args.bundle),
            gallery=Path(args.gallery),
            sources=sources,
            engine=args.engine,
            threads=args.threads,
            reembed=args.reembed,
            host=args.host,
            port=args.port,
            allow_hosts=tuple(args.allow_host),
            token_file=args.token_file,
            new_token=args.new_token,
            headless=args.headless,
        )
    )
    return {}


def _source(text: str, *, loop: bool) -> Source:
    if text == "demo":
        from edgefs.demo.virtual_source import virtual_camera

        return Source("virtual camera", virtual_camera, again=True)
    return camera_source(text, loop=loop)

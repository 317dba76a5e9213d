"""The live app: point a camera at a thing, hold the button, name it. The page is at http://127.0.0.1:8080/ by default.

examples:
  edgefs live                                   # camera 0
  edgefs live --source demo --open              # a virtual camera: no camera needed
  edgefs live --source rtsp://user:password@camera/stream --source 1
  edgefs live --source clip.mp4 --gallery shop.db
  edgefs live --headless --mqtt mqtt://broker   # JSON lines on stdout, and Home Assistant
  edgefs live --follow http://server/rollout --trusted-keys keys/   # new bundles as they are published
  edgefs live --host 0.0.0.0                    # for others, too: prints a link with an access token, and a QR code
  edgefs live --host 0.0.0.0 --https            # a phone may use its own camera
"""

from __future__ import annotations

import argparse
import re
import sys
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefs.cli.options import add_recognizer_options, load_bundle
from runtime.errors import OptionError
from runtime.fleet.address import is_site, parsed

if TYPE_CHECKING:
    from runtime.app.core.camera_reader import CameraSource


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source",
        action="append",
        metavar="WHAT",
        help="camera number, URL, video, folder, GStreamer pipeline, demo, or @FILE with one of them a line; "
        "several times for several (default: what was added in the page, else 0)",
    )
    add_recognizer_options(parser)
    parser.add_argument(
        "--loop",
        action=argparse.BooleanOptionalAction,
        help="play files again and again (default: yes, but --headless ends with them)",
    )
    face = parser.add_mutually_exclusive_group()
    face.add_argument("--headless", action="store_true", help="no page: JSON lines on stdout")
    face.add_argument("--window", action="store_true", help="no page: an OpenCV window with keys")
    parser.add_argument("--open", action="store_true", help="open the page in a browser")
    parser.add_argument(
        "--mqtt",
        metavar="URL",
        help="publish to a broker: mqtt://user:password@host, mqtts://…, or @FILE with such a line",
    )
    parser.add_argument(
        "--mqtt-commands", action="store_true", help="obey what comes over MQTT: teach, confirm, rate (docs/live.md)"
    )
    parser.add_argument(
        "--actions",
        type=Path,
        metavar="FILE",
        help="rules in TOML or JSON: what is seen is sent to a webhook, MQTT, a program or a CSV file (docs/live.md)",
    )
    parser.add_argument(
        "--visits",
        type=_days,
        default=30.0,
        metavar="DAYS",
        help="how many days visits are kept for review, beside the gallery; 0 keeps none (default: 30)",
    )
    parser.add_argument(
        "--follow",
        metavar="DIR|URL",
        help="fetch new bundles from there, and go back if they do harm; needs --trusted-keys (docs/rollout.md)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=_port, default=8080, help="port; 0 takes a free one (default: 8080)")
    parser.add_argument(
        *("--allow-host",), action="append", default=[], metavar="NAME", help="another name of this server, of a proxy"
    )
    parser.add_argument(
        *("--https",),
        action="store_true",
        help="encrypt, with a certificate made once: other devices may use their camera",
    )
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="where the digest of the access token is kept")
    parser.add_argument("--new-token", action="store_true", help="make another access token; the old one ends")
    parser.add_argument(
        *("--users",),
        type=Path,
        metavar="FILE",
        help='the name and role of each user in TOML, such as till = "viewer"; each gets a token (docs/live.md)',
    )
    parser.add_argument("--log", type=Path, metavar="FILE", help="write a rotating log instead of warnings on stderr")


def run(args: argparse.Namespace) -> dict[str, Any]:
    from runtime.app.live import Options  # here, so that --help needs no extra
    from runtime.app.live import run as run_live

    loop = not args.headless if args.loop is None else args.loop
    options = Options(
        bundle=load_bundle(args.bundle, args.trusted_keys),
        gallery=_beside(args.gallery),
        site=args.gallery if is_site(args.gallery) else None,
        sources=[_source(text, loop=loop) for text in _named(args.source or _usual(args), "--source")],
        engine=args.engine,
        threads=args.threads,
        device=args.device,
        reembed=args.reembed,
        host=args.host,
        port=args.port,
        allow_hosts=tuple(args.allow_host),
        https=args.https,
        token_file=args.token_file,
        new_token=args.new_token,
        users=args.users,
        headless=args.headless,
        window=args.window,
        mqtt=next(_named([args.mqtt], "--mqtt")) if args.mqtt else None,
        mqtt_commands=args.mqtt_commands,
        actions=args.actions,
        visits_days=args.visits,
        follow=args.follow,
        log=args.log,
        trusted_keys=args.trusted_keys,
        open_source=lambda text: _source(text, loop=True),
        ready=lambda address: _ready(address, browser=args.open),
    )
    run_live(options)
    return {"sources": [source.name for source in options.sources]}


def _ready(address: str | None, *, browser: bool) -> None:
    if address is not None:
        print(f"edgefs live: {address}", file=sys.stderr, flush=True)
        if sys.stderr.isatty() and not re.match(r"https?://(127\.|localhost|\[::1)", address):
            from runtime.app.web.link import terminal_code

            print(terminal_code(address), file=sys.stderr, flush=True)
        if browser:
            webbrowser.open(address)


def _beside(gallery: str) -> Path:
    """Return the gallery file, beside which the app keeps its other files; of a site, this device's copy."""
    return parsed(gallery).copy if is_site(gallery) else Path(gallery)


def _usual(args: argparse.Namespace) -> list[str]:
    """Camera 0, unless sources were added in the page before: these are opened anyway."""
    from runtime.app.core.sources import any_remembered

    return [] if any_remembered(_beside(args.gallery)) and not (args.headless or args.window) else ["0"]


def _named(texts: list[str], option: str) -> Iterator[str]:
    """The values of an option, those of @FILE among them: every user of the machine sees a password in an argument."""
    for text in texts:
        if not text.startswith("@"):
            yield text
            continue
        try:
            lines = Path(text[1:]).read_text().splitlines()
        except (OSError, ValueError) as error:
            raise OptionError(f"{option} {text} must be a file with one value a line, but: {error}") from error
        found = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        if not found:
            raise OptionError(f"{option} {text} must have at least one line with a value, but the file has none")
        yield from found


def _source(text: str, *, loop: bool) -> CameraSource:
    from runtime.app.core.camera_reader import CameraSource, camera_source

    if text == "demo":
        from edgefs.demo.virtual_source import virtual_camera

        return CameraSource("virtual camera", virtual_camera, loop=True, recorded=True)
    return camera_source(text, loop=loop)


def _days(text: str) -> float:
    try:
        days = float(text)
    except ValueError:
        days = -1.0
    if not 0 <= days <= 3650:
        raise argparse.ArgumentTypeError(f"must be a number of days from 0 to 3650, but got {text!r}")
    return days


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"must be a port from 0 to 65535, but got {text!r}")
    return int(text)

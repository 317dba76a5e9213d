"""Check every digest of a bundle, and run its golden frames on every installed engine.

The check runs in a process of its own with limited memory and CPU time, so that a bundle from anyone can be tried.
"""

from __future__ import annotations

import argparse
from typing import Any

from edgefs.cli.options import add_trusted_keys_option
from runtime.bundle import Bundle
from runtime.engines.limited_check import check

SUMMARY = "check every digest, and run the golden frames on every installed engine"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH", help="a bundle directory or its .zip")
    add_trusted_keys_option(parser)


def run(args: argparse.Namespace) -> dict[str, Any]:
    check(args.path, trusted_keys=args.trusted_keys)
    bundle = Bundle.load(args.path, trusted_keys=args.trusted_keys)
    print(f"{args.path} is sound: {bundle.name}, fingerprint {bundle.fingerprint[:12]}")
    return {"bundle": args.path, "name": bundle.name, "fingerprint": bundle.fingerprint}

"""Write a bundle again in the newest format, with a digest over its manifest."""

from __future__ import annotations

import argparse
from typing import Any

from runtime.bundle import Bundle

SUMMARY = "write the bundle again in the newest format, with a digest over its manifest"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH", help="a bundle directory or its .zip")


def run(args: argparse.Namespace) -> dict[str, Any]:
    bundle = Bundle.load(args.path).save(args.path, overwrite=True)
    print(f"{args.path} has the digest {bundle.manifest['digest'][:12]}")
    return {"bundle": args.path, "name": bundle.name, "fingerprint": bundle.fingerprint}

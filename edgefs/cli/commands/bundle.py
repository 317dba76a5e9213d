"""Check a bundle, or give its manifest a digest.

`verify` runs in a process of its own with limited memory and CPU time, so that a bundle from anyone can be tried.

examples:
  edgefs bundle verify shop.edgefs.zip
  edgefs bundle seal old.edgefs             # a bundle of format 1 gets the digest of format 2
"""

from __future__ import annotations

import argparse
from typing import Any

from runtime.bundle import Bundle
from runtime.engines.limited_check import check


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, summary in (
        ("verify", "check every digest, and run the golden frames on every installed engine"),
        ("seal", "write the bundle again in the newest format, with a digest over its manifest"),
    ):
        action = actions.add_parser(name, help=summary, description=summary)
        action.add_argument("path", metavar="PATH", help="a bundle directory or its .zip")


def run(args: argparse.Namespace) -> dict[str, Any]:
    if args.action == "verify":
        check(args.path)
        bundle = Bundle.load(args.path)
        print(f"{args.path} is sound: {bundle.name}, fingerprint {bundle.fingerprint[:12]}")
    else:
        bundle = Bundle.load(args.path).save(args.path, overwrite=True)
        print(f"{args.path} has the digest {bundle.manifest['digest'][:12]}")
    return {"bundle": args.path, "name": bundle.name, "fingerprint": bundle.fingerprint}

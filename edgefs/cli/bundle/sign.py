"""Sign a bundle with a private ed25519 key. The signature covers its manifest, which has the digest of every file."""

from __future__ import annotations

import argparse
from typing import Any

from runtime.bundle import Bundle

SUMMARY = "sign the bundle with a private key"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("path", metavar="PATH", help="a bundle directory or its .zip")
    parser.add_argument("--key", required=True, metavar="KEY", help="the private key (edgefs bundle make-key)")


def run(args: argparse.Namespace) -> dict[str, Any]:
    bundle = Bundle.load(args.path).signed(args.key).save(args.path, overwrite=True)
    print(f"{args.path} is signed by {args.key}")
    return {"bundle": args.path, "name": bundle.name, "fingerprint": bundle.fingerprint}

"""Make a private ed25519 key to sign with, and the public key that others check with."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from runtime.signing import make_keys

SUMMARY = "make a key to sign bundles and gallery archives with"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key", metavar="KEY", help="the new file of the private key; the public key is KEY.pub")


def run(args: argparse.Namespace) -> dict[str, Any]:
    public = make_keys(Path(args.key))
    print(f"wrote {args.key}, which only you may read: keep it secret, without a copy on any device")
    print(f"wrote {public}: copy it to the folder that a device has as --trusted-keys")
    return {"key": args.key, "public": str(public)}

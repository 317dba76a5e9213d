"""Find the pictures that look the most like a picture, among those that edgefs embed has embedded.

examples:
  edgefs search photo.jpg --in photos-embedded
  edgefs search photo.jpg --in photos-embedded --top 20 --json -
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from edgefs.bulk.pictures import read_picture
from edgefs.bulk.search import search
from edgefs.bulk.shards import require_model
from edgefs.cli.options import add_bundle_option, add_engine_option, load_bundle, positive
from edgefs.reports.tables import table
from runtime.recognizer import Recognizer

TOP = 10


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("picture", help="the picture: a file, or an address in a store")
    parser.add_argument("--in", dest="embedded", required=True, metavar="DIR", help="what edgefs embed wrote")
    parser.add_argument("--top", type=positive, default=TOP, metavar="K", help=f"how many are shown (default: {TOP})")
    add_bundle_option(parser)
    add_engine_option(parser)


def run(args: argparse.Namespace) -> dict[str, Any]:
    bundle, folder = load_bundle(args.bundle, args.trusted_keys), Path(args.embedded)
    model = require_model(folder, bundle)
    with Recognizer(bundle, engine=args.engine, device=args.device, precision=model.precision) as recognizer:
        embedding = recognizer.embed(read_picture(args.picture))[0]
    found = search(folder, model, embedding, args.top)
    print(table([(f"{hit.score:.3f}", hit.label or "-", hit.path) for hit in found], ("score", "label", "picture")))
    return {"picture": args.picture, "in": args.embedded, "found": found}

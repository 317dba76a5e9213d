"""The actions of `edgefs gallery` on whole files: check, repair, backup, restore, purge, export and import."""

from __future__ import annotations

import argparse
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefs.cli.options import load_bundle
from runtime.errors import GalleryCorrupt, GalleryMissing
from runtime.gallery import Gallery, export_gallery, import_gallery, restore_gallery
from runtime.opencv import decode_image
from runtime.recognizer import Recognizer


def check(gallery: Gallery, args: argparse.Namespace) -> dict[str, Any]:
    """Print what is damaged. Raises GalleryCorrupt if anything is, so that the exit status says so."""
    damaged = gallery.check()
    for record in damaged:
        print(record.what if not record.id else f"{record.what} (number {record.id} {record.label})".replace(" )", ")"))
    if damaged:
        raise GalleryCorrupt(
            f"{args.gallery} must be undamaged, but {len(damaged)} damaged places were found. "
            f"Run: edgefs gallery repair --gallery {quote(args.gallery)}"
        )
    print(f"{args.gallery} is undamaged: {len(gallery.classes)} classes, every record and every crop was verified")
    return {"damaged": damaged}


def repair(gallery: Gallery, args: argparse.Namespace) -> dict[str, Any]:
    """Rebuild a damaged gallery, and print what was corrected and what was lost."""
    report = gallery.repair()
    for note in report.notes:
        print(note)
    if report.kept:
        print(f"repaired {args.gallery}: {len(gallery.classes)} classes; the damaged file is kept as {report.kept}")
    else:
        print(f"nothing to do: {args.gallery} is undamaged")
    return {"notes": report.notes, "kept": report.kept}


def backup(gallery: Gallery, args: argparse.Namespace) -> dict[str, Any]:
    """Write a verified copy while the gallery may be in use."""
    gallery.backup(args.file)
    print(f"wrote a backup of {len(gallery.classes)} classes to {args.file}; every record and every crop was verified")
    print(f"to go back to it: edgefs gallery restore {quote(args.file)} --gallery {quote(args.gallery)}")
    return {"file": args.file, "classes": list(gallery.classes)}


def restore(args: argparse.Namespace) -> dict[str, Any]:
    """Put a backup in the place of the gallery."""
    if not Path(args.file).is_file():
        raise GalleryMissing(
            f"{args.file} must be a backup of a gallery, but there is no such file. "
            f"Make one: edgefs gallery backup {quote(args.file)} --gallery {quote(args.gallery)}"
        )
    kept = restore_gallery(Path(args.gallery), Path(args.file))
    print(f"restored {args.gallery} from {args.file}" + (f"; the gallery before is kept as {kept}" if kept else ""))
    return {"gallery": args.gallery, "file": args.file, "kept": kept}


def purge(gallery: Gallery, _: argparse.Namespace) -> dict[str, Any]:
    """Delete everything that was forgotten or removed for good."""
    purged = gallery.purge(now=True)
    print(f"deleted {purged.shots} shots and {purged.classes} forgotten classes for good")
    if not purged.wiped:
        print("Another program still reads an older state: the bytes are overwritten when it has finished.")
    for path in purged.unreached:
        print(f"The backup {path} cannot be opened and may still hold them. Delete it.")
    return {"purged": purged}


def export(gallery: Gallery, args: argparse.Namespace) -> dict[str, Any]:
    """Write all shots into one file."""
    export_gallery(gallery, args.file, key=args.key)
    print(f"wrote {len(gallery.classes)} classes to {args.file}")
    return {"file": args.file, "classes": list(gallery.classes)}


def import_(args: argparse.Namespace) -> dict[str, Any]:
    """Add what an exported file holds."""
    with Recognizer(load_bundle(args.bundle, args.trusted_keys), gallery=args.gallery) as recognizer:

        def embed(crops: list[bytes]) -> NDArray[np.float32]:  # what another model embedded
            return recognizer.embed(decode_image(crop, "a crop of the archive") for crop in crops)

        summary = import_gallery(recognizer.gallery, args.file, embed=embed, trusted_keys=args.trusted_keys)
    print(f"added {summary.added} shots, skipped {summary.skipped_duplicates} that were there already")
    return {"gallery": args.gallery, "file": args.file, **vars(summary)}

"""A gallery as one file, to move it to another device.

The file is a zip without compression: JPEGs would not shrink, and an uncompressed zip cannot expand without limit. The
same gallery always gives the same bytes. Its members are:

    gallery.json     format, fingerprint, dim, sha256 of each member; then for each shot a line with its label,
                     negative, burst, quality, source, time_s and the name of its crop
    embeddings.npy   float32 [n, D], in the order of the shots
    crops/<n>.jpg    the crop of shot n, unless the gallery keeps no crops
    signature.json   of gallery.json, if a key signed the archive (`runtime/signing.py`)

The archive contains neither the history of changes nor damaged records.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import numpy as np

from runtime.errors import (
    GalleryCorrupt,
    GalleryUnwritable,
    InvalidShot,
    UnknownLabel,
)
from runtime.gallery.archive_reader import FORMAT, Archive, Embed, corrupt, shot_key
from runtime.gallery.base import Gallery, ShotRecord
from runtime.gallery.recovery.files import sync
from runtime.signing import SIGNATURE, sign

_KEPT = ("label", "negative", "burst", "quality", "source", "time_s")
_F4 = np.dtype("<f4")


@dataclass(frozen=True)
class ImportSummary:
    """What `import_gallery` did. The counts include negative examples."""

    added: int
    skipped_duplicates: int
    per_class: dict[str, int]  # label -> number of shots added


def export_gallery(gallery: Gallery, path: str | Path, *, key: str | Path | None = None) -> None:
    """Write all undamaged shots of a gallery to one file, which replaces an older file only when it is complete.

    Args:
        gallery: The gallery.
        path: The file.
        key: A private ed25519 key to sign it with; None for no signature.

    Raises:
        OptionError: The key is none.
        GalleryUnwritable: The system refused; an older file is unchanged.
    """
    path = Path(path).absolute()
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as file:
            _write(gallery, file, None if key is None else Path(key))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync(path.parent)
    except OSError as error:
        raise GalleryUnwritable(
            f"{path} must be writable to hold the export, but: {error.strerror or error}. Choose another place."
        ) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def import_gallery(
    gallery: Gallery, path: str | Path, *, embed: Embed | None = None, trusted_keys: str | Path | None = None
) -> ImportSummary:
    """Add the shots of an archive to a gallery as one operation, which `undo` takes back.

    Shots that the gallery already has are skipped. If an error is raised, nothing was changed.

    Args:
        gallery: The gallery to add to.
        path: The archive.
        embed: Embeds crops: JPEGs -> `float32 [n, D]`. It is needed only for an archive that another model filled.
        trusted_keys: A folder of public keys, one of which must have signed the archive; None to trust anyone.

    Raises:
        Untrusted: None of the trusted keys has signed it.
        GalleryCorrupt: The archive is damaged.
        GalleryMismatch: Another model filled it, and `embed` or a crop is missing.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as members:
            archive = Archive(members, path, None if trusted_keys is None else Path(trusted_keys))
            return _import(gallery, archive, embed)
    except GalleryUnwritable:
        raise  # this is an OSError too, but it concerns the gallery and not the archive
    except OSError as error:
        raise corrupt(path, f"it cannot be read: {error.strerror or error}") from error
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise corrupt(path, f"its zip is broken: {error}") from error


def _write(gallery: Gallery, file: BinaryIO, key: Path | None) -> None:
    # Shots come before negative examples, because the import can add those only to a class that exists.
    records = [
        record
        for label in gallery.classes
        for record in sorted(gallery.records(label), key=lambda r: (r.negative, r.id))
    ]
    digests: dict[str, str] = {}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as members:

        def put(name: str, data: bytes) -> None:
            digests[name] = sha256(data).hexdigest()
            members.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)

        matrix = io.BytesIO()
        np.save(matrix, np.array([record.embedding for record in records], _F4).reshape(-1, gallery.dim))
        put("embeddings.npy", matrix.getvalue())
        shots = []
        for number, record in enumerate(records):
            name = None
            if (crop := _sound_crop(gallery, record)) is not None:
                put(name := f"crops/{number}.jpg", crop)
            shots.append({key: getattr(record, key) for key in _KEPT} | {"crop": name})
        state = {"format": FORMAT, "fingerprint": gallery.fingerprint, "dim": gallery.dim, "sha256": digests}
        lines = ",\n".join(json.dumps(shot, ensure_ascii=False) for shot in shots)
        text = f'{json.dumps(state, ensure_ascii=False)[:-1]}, "shots": [\n{lines}\n]}}'.encode()
        put("gallery.json", text)
        if key is not None:
            put(SIGNATURE, sign("gallery", text, key))


def _sound_crop(gallery: Gallery, record: ShotRecord) -> bytes | None:
    try:
        return gallery.crop(record.id)
    except GalleryCorrupt:
        return None  # the embedding is undamaged


def _import(gallery: Gallery, archive: Archive, embed: Embed | None) -> ImportSummary:
    known = {
        shot_key(record.negative, record, record.crop_sha256): label
        for label in gallery.classes
        for record in gallery.records(label)
    }
    # A class that was renamed in this gallery is found by the shots that both have.
    renamed = {entry.label: known[entry.key] for entry in archive.entries if entry.key in known}
    fresh = [
        entry if entry.label in gallery.classes else replace(entry, label=renamed.get(entry.label, entry.label))
        for entry in archive.entries
        if entry.key not in known
    ]
    for entry in fresh:
        archive.require_picture(entry)
    if (archive.fingerprint, archive.dim) != (gallery.fingerprint, gallery.dim):
        fresh = archive.embedded(fresh, gallery, embed)
    counts = Counter(entry.label for entry in fresh)
    if fresh:
        batch = ((entry.label, replace(entry.shot, crop=archive.crop(entry)), entry.negative) for entry in fresh)
        what = f"imported {len(fresh)} shots of {len(counts)} classes from {archive.path.name}"
        try:
            gallery.add_all(batch, what)
        except (InvalidShot, UnknownLabel) as error:
            raise corrupt(archive.path, str(error)) from error
    return ImportSummary(len(fresh), len(archive.entries) - len(fresh), dict(counts))

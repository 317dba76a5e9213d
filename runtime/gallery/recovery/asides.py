"""The embeddings of earlier models, one file for each model beside the gallery: `shop.db.before-<fingerprint>.npz`."""

from __future__ import annotations

import io
import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from runtime.errors import GalleryCorrupt, GalleryUnwritable
from runtime.gallery.base import Gallery
from runtime.gallery.recovery.files import escaped, sync

_UNREADABLE = (OSError, ValueError, KeyError, EOFError, BadZipFile)


def aside_path(path: Path, fingerprint: str) -> Path:
    """Return the file for the embeddings of a model, which is written before they are replaced."""
    return path.with_name(f"{path.name}.before-{fingerprint[:12]}.npz")


def write_aside(gallery: Gallery) -> Path | None:
    """Save all embeddings durably; return the file, None for a gallery in memory. Raises GalleryUnwritable."""
    if gallery.path is None:
        return None
    path = aside_path(gallery.path, gallery.fingerprint)
    stored = gallery.stored_embeddings()
    ids = np.array(sorted(stored), np.int64)
    rows = np.array([stored[int(i)] for i in ids], np.float32).reshape(-1, gallery.dim)
    _write(path, ids, rows, gallery.fingerprint, gallery.precision or "")
    return path


def read_aside(gallery: Gallery, fingerprint: str, precision: str | None = None) -> dict[int, NDArray[np.float32]]:
    """Read the saved embeddings of an earlier model, by shot id; empty if there are none, or of another precision.

    A precision that is not known, here or in the file, fits any. Raises GalleryCorrupt.
    """
    path = None if gallery.path is None else aside_path(gallery.path, fingerprint)
    if path is None or not path.exists():
        return {}
    try:
        ids, rows, written_for, had = _read(path)
    except _UNREADABLE as error:
        raise GalleryCorrupt(f"{path} must hold old embeddings, but cannot be read: {error}. Remove it.") from error
    if written_for != fingerprint:
        raise GalleryCorrupt(f"{path} must be of the model {fingerprint[:12]}, but is of another. Remove it.")
    if precision and had and precision != had:
        return {}
    stored = set(gallery.stored_ids())
    return {int(i): row for i, row in zip(ids, rows, strict=True) if int(i) in stored}


def delete_from_asides(gallery: Path, shots: set[int]) -> None:
    """Delete the embeddings of these shots from all files of earlier models.

    A file that cannot be read, or for whose rest there is no space, is deleted: crops can be embedded again.
    """
    for path in gallery.parent.glob(f"{escaped(gallery.name)}.before-*.npz*"):
        try:
            ids, rows, fingerprint, precision = _read(path)
        except _UNREADABLE:
            path.unlink(missing_ok=True)
            continue
        kept = ~np.isin(ids, list(shots))
        if not kept.all():
            try:
                _write(path, ids[kept], rows[kept], fingerprint, precision)
            except GalleryUnwritable:
                path.unlink(missing_ok=True)


def _read(path: Path) -> tuple[NDArray[np.int64], NDArray[np.float32], str, str]:
    with np.load(path, allow_pickle=False) as data:
        ids, rows, fingerprint = data["ids"], data["embeddings"], str(data["fingerprint"])
        if _digest(ids, rows, fingerprint) != data["digest"].tobytes():
            raise ValueError("its digest does not match")
        precision = str(data["precision"]) if "precision" in data else ""  # earlier versions did not store it
    return ids, rows, fingerprint, precision


def _write(path: Path, ids: NDArray[np.int64], rows: NDArray[np.float32], fingerprint: str, precision: str) -> None:
    digest = np.frombuffer(_digest(ids, rows, fingerprint), np.uint8)
    buffer = io.BytesIO()
    of, at = np.array(fingerprint), np.array(precision)
    np.savez(buffer, ids=ids, embeddings=rows, fingerprint=of, precision=at, digest=digest)
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.write(buffer.getvalue())
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        sync(path.parent)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise GalleryUnwritable(
            f"{path} must be writable to keep the old embeddings, but: {error.strerror or error}. Nothing was changed."
        ) from error


def _digest(ids: NDArray[np.int64], rows: NDArray[np.float32], fingerprint: str) -> bytes:
    return sha256(repr((ids.shape, rows.shape, fingerprint)).encode() + ids.tobytes() + rows.tobytes()).digest()

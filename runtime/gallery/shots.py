"""One shot: how it is checked and written, and how its row becomes a record."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime.errors import InvalidShot
from runtime.gallery.base import NewShot, ShotRecord
from runtime.gallery.records import seal_shot


def checked_embedding(embedding: ArrayLike, dim: int) -> NDArray[np.float32]:
    """Return `embedding` as float32 [dim]. Raises InvalidShot."""
    with np.errstate(over="ignore"):  # a number too large for float32 becomes inf, which is refused below
        vector = np.ascontiguousarray(embedding, np.dtype("<f4"))
    if vector.shape != (dim,):
        raise InvalidShot(
            f"An embedding must have shape ({dim},), but got {vector.shape}. Use the bundle of this gallery."
        )
    if not np.isfinite(vector).all():
        raise InvalidShot("An embedding must be finite, but got NaN or infinity. Run `edgefs doctor`.")
    return vector


def write_shot(
    db: sqlite3.Connection, id_: int, class_id: int, negative: bool, shot: NewShot, dim: int
) -> NDArray[np.float32]:
    """Insert a shot and its crop; return its embedding as stored, float32 [dim]. Raises InvalidShot."""
    embedding = checked_embedding(shot.embedding, dim)
    quality, time_s = float(shot.quality), float(shot.time_s)
    if not 0 <= quality <= 1 or not math.isfinite(time_s):
        raise InvalidShot(
            f"A shot must have a quality in 0..1 and a finite time, but got {quality} and {time_s}. Correct them."
        )
    try:
        burst, source = shot.burst.encode(), shot.source.encode()
    except UnicodeEncodeError as error:
        raise InvalidShot(f"Burst and source must be text, but got {error.object!r}. Use other names.") from error
    crop_digest = None if shot.crop is None else sha256(shot.crop).digest()
    row = id_, class_id, int(negative), burst, quality, source, time_s, crop_digest, embedding.tobytes()
    db.execute(
        "INSERT INTO shots VALUES (?, ?, ?, CAST(? AS TEXT), ?, CAST(? AS TEXT), ?, ?, ?, ?)", (*row, seal_shot(*row))
    )
    if shot.crop is not None:
        db.execute("INSERT INTO crops VALUES (?, ?)", (id_, shot.crop))
    return embedding


def shot_record(row: Sequence[Any], label: str) -> ShotRecord:
    """Return an undamaged row of SHOT_COLUMNS as a record."""
    id_, _, negative, burst, quality, source, time_s, crop_digest, embedding, _ = row
    return ShotRecord(
        id=id_,
        label=label,
        negative=bool(negative),
        burst=burst.decode(),
        quality=quality,
        source=source.decode(),
        time_s=time_s,
        crop_sha256=crop_digest.hex() if crop_digest else None,
        embedding=np.frombuffer(embedding, np.dtype("<f4")),
    )


def no_shot(shot_id: int) -> InvalidShot:
    """Return the error for a shot that does not exist."""
    return InvalidShot(
        f"Shot {shot_id} must be in the gallery, but it is not, or was removed. To list the shots of a class: "
        "edgefs gallery show LABEL --gallery FILE, or gallery.records(label) in Python."
    )

"""Teaches classes from pictures that were embedded before."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from edgefs.bulk.embedder import Embedded
from runtime.errors import FrameError
from runtime.opencv import decode_image
from runtime.recognition import Enrollment
from runtime.recognizer import Recognizer
from runtime.teaching.enrolling import Observation, crop_of


def teach_embedded(
    recognizer: Recognizer, label: str, rows: Sequence[Embedded], source: str
) -> tuple[Enrollment, list[str]]:
    """Teach a class as if its pictures were shown now.

    A gallery that keeps crops needs the pictures where they were, with the content that was embedded.

    Returns:
        What was taught, and why each picture that cannot be read any more was left out.
    """
    unreadable: list[str] = []
    observations = []
    for row in rows:
        try:
            crop = _crop(row) if recognizer.gallery.keep_crops else None
        except (OSError, FrameError) as error:
            unreadable.append(f"{row.picture.path}: {getattr(error, 'strerror', None) or error}")
            continue
        observations.append(Observation(row.embedding, crop, row.quality, recognizer.bundle.fingerprint))
    return recognizer.enroll_observed(label, observations, source=source), unreadable


def _crop(row: Embedded) -> bytes:
    data = row.picture.read()
    if sha256(data).hexdigest() != row.sha256:
        raise FrameError("it has another content than when it was embedded; run edgefs embed again, or use --no-crops")
    return crop_of(decode_image(data, row.picture.path))

"""A new model for an old gallery: every shot is embedded again from its crop, in one transaction, with nothing lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import Bundle
from runtime.errors import GalleryMismatch
from runtime.gallery import open_gallery
from runtime.opencv import decode_image

Embed = Callable[[list[NDArray[np.uint8]]], NDArray[np.float32]]
CHUNK = 64  # crops decoded at a time


def reembed_gallery(path: str | Path, bundle: Bundle, embed: Embed) -> int:
    """Re-embed the gallery at path for a bundle; returns how many shots, 0 when it fits already.

    embed: frames to `float32 [N, D]`.  Forgotten shots that undo could bring back are included.
    Raises GalleryMismatch when a shot has no crop (privacy mode); then nothing has changed.
    """
    gallery = open_gallery(path, fingerprint=None, dim=None)
    try:
        if gallery.fingerprint == bundle.fingerprint:
            return 0
        ids = gallery.stored_ids()
        without = [shot_id for shot_id in ids if gallery.crop(shot_id) is None]
        if without:
            raise GalleryMismatch(
                f"{path} can only be re-embedded from crops, but {len(without)} of its {len(ids)} shots have none "
                f"(such as {without[:3]}); teach those classes again, or go on with the bundle that filled it"
            )
        embeddings: dict[int, NDArray[np.float32]] = {}
        for i in range(0, len(ids), CHUNK):
            some = ids[i : i + CHUNK]
            frames = [decode_image(gallery.crop(shot_id) or b"", f"crop of shot {shot_id}") for shot_id in some]
            embeddings.update(zip(some, embed(frames), strict=True))
        gallery.replace_embeddings(embeddings, fingerprint=bundle.fingerprint, dim=bundle.dim)
        return len(ids)
    finally:
        gallery.close()

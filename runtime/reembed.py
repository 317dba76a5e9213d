"""A gallery that another model filled: every shot is embedded again from its crop, in one transaction, nothing lost."""

from __future__ import annotations

from pathlib import Path

from runtime.bundle import Bundle
from runtime.gallery import open_gallery
from runtime.swap import Embed, Progress, embedded, read_aside, replace_all, write_aside


def reembed_gallery(path: str | Path, bundle: Bundle, embed: Embed, progress: Progress | None = None) -> int:
    """Re-embed the gallery at path for a bundle; returns how many shots, 0 when it fits already.

    embed: frames to `float32 [N, D]`.  Forgotten shots that undo could bring back are included. The old embeddings are
    kept aside, so that going back to the old bundle is exact.
    Raises GalleryMismatch when a shot has no crop (privacy mode); then nothing has changed.
    """
    gallery = open_gallery(path, fingerprint=None, dim=None)
    try:
        if gallery.fingerprint == bundle.fingerprint:
            return 0
        embeddings = embedded(gallery, embed, read_aside(gallery, bundle.fingerprint), progress)
        write_aside(gallery)
        replace_all(gallery, embed, embeddings, fingerprint=bundle.fingerprint, dim=bundle.dim)
        return len(embeddings)
    finally:
        gallery.close()

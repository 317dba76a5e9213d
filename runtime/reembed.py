"""A gallery that another model filled: every shot is embedded again from its crop, in one transaction, nothing lost."""

from __future__ import annotations

from pathlib import Path

from runtime.bundle import Bundle
from runtime.errors import GalleryMismatch
from runtime.gallery import Gallery, open_gallery
from runtime.prototypes import Prototypes
from runtime.swap import Embed, Progress, embedded, named_right, read_aside, replace_all, write_aside


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


def require_model(gallery: Gallery, bundle: Bundle) -> None:
    """Raise GalleryMismatch unless this bundle filled the gallery."""
    if (gallery.fingerprint, gallery.dim) != (bundle.fingerprint, bundle.dim):
        raise GalleryMismatch(
            f"The gallery {gallery.path} must be filled by {bundle.name} ({bundle.fingerprint[:12]}), but was "
            f"filled by another model ({gallery.fingerprint[:12]}). Open it by its path: "
            "Recognizer(bundle, gallery=..., reembed=True)."
        )


def compare_models(
    path: str | Path, bundle: Bundle, embed: Embed, progress: Progress | None = None
) -> tuple[dict[str, float], dict[str, float]] | None:
    """`reembed_gallery`, and per class the share of its shots that the others name right, before and after.

    None when the gallery fits already. Cosines stand for the old model's metric, which is not known here.
    """
    before = _named_right(path, "cosine")
    if not reembed_gallery(path, bundle, embed, progress):
        return None
    return before, _named_right(path, bundle.metric)


def _named_right(path: str | Path, metric: str) -> dict[str, float]:
    gallery = open_gallery(path, fingerprint=None, dim=None)
    try:
        return named_right(Prototypes(metric, gallery.dim).update(gallery.classes))
    finally:
        gallery.close()

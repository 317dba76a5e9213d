"""Replaces the model of a gallery in use. Nothing is lost, recognition continues, and the change can be reverted.

1. The new bundle is opened beside the old one, and every stored shot is embedded again from its crop, including
   forgotten shots that undo can restore. Meanwhile the old model recognizes, and newly taught shots are embedded too.
2. The old embeddings are saved to `<gallery>.before-<model>.npz`, so that reverting needs no crops.
3. One transaction replaces all embeddings. If the process is killed, the gallery belongs entirely to one model.

Both models are compared on the gallery itself: each shot is left out in turn and classified by the others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import Bundle
from runtime.errors import GalleryMismatch, GalleryUnwritable, InvalidShot
from runtime.gallery import Gallery, open_gallery
from runtime.gallery.recovery.asides import read_aside, write_aside
from runtime.matching.prototypes import Prototypes, class_mean, similarity
from runtime.opencv import decode_image

log = logging.getLogger(__name__)

Embed = Callable[[list[NDArray[np.uint8]]], NDArray[np.float32]]
Progress = Callable[[int, int], None]  # (shots done, all shots)
CHUNK = 32  # crops decoded at a time
ROUNDS = 20  # attempts to embed what is taught meanwhile


@dataclass(frozen=True)
class SwapReport:
    """The result of a swap.

    Attributes:
        bundle_before: Name of the old bundle.
        bundle_after: Name of the new bundle.
        shots: Number of shots.
        classes: Number of classes.
        before: Class -> leave-one-out accuracy of its shots, 0..1, with the old bundle. A class of one shot has none.
        after: The same with the new bundle.
        aside: File of the old embeddings, for `rollback`; None for a gallery in memory.
    """

    bundle_before: str
    bundle_after: str
    shots: int
    classes: int
    before: dict[str, float]
    after: dict[str, float]
    aside: str | None

    @property
    def worse(self) -> tuple[str, ...]:
        """The classes whose accuracy is lower with the new model."""
        return tuple(label for label, share in self.after.items() if share < self.before.get(label, 0.0))


def embedded(
    gallery: Gallery, embed: Embed, known: Mapping[int, NDArray[np.float32]], progress: Progress | None = None
) -> dict[int, NDArray[np.float32]]:
    """Embed every stored shot from its crop, and repeat that for shots taught meanwhile.

    Args:
        gallery: The gallery.
        embed: Embeds frames: list of `uint8 [H, W, 3]` -> `float32 [N, D]`.
        known: Embeddings that are known already, by shot id.
        progress: Called with (shots done, all shots).

    Returns:
        The embedding `float32 [D]` of every shot, by its id.

    Raises:
        GalleryMismatch: A shot has no crop.
    """
    done = dict(known)
    for _ in range(ROUNDS):
        missing = [shot_id for shot_id in gallery.stored_ids() if shot_id not in done]
        if not missing:
            break
        require_crops(gallery, missing)
        for some in _chunks(missing):
            crops = [gallery.crop(shot_id, forgotten=True) or b"" for shot_id in some]
            frames = [decode_image(jpeg, f"crop of shot {shot_id}") for shot_id, jpeg in zip(some, crops, strict=True)]
            done.update(zip(some, embed(frames), strict=True))
            if progress:
                progress(len(done), len(done) + len(missing) - missing.index(some[-1]) - 1)
    return done


def require_crops(gallery: Gallery, ids: list[int]) -> None:
    """Raise GalleryMismatch unless every one of these shots has a crop."""
    without = [shot_id for shot_id in ids if gallery.crop(shot_id, forgotten=True) is None]
    if without:
        raise GalleryMismatch(
            f"{gallery.path} can only be embedded again from crops, but {len(without)} of {len(ids)} shots have none "
            f"(such as {without[:3]}); teach those classes again, or use the bundle that filled the gallery"
        )


def named_right(prototypes: Prototypes) -> dict[str, float]:
    """Per class, the share of its shots, 0..1, that are named right by the others; a class of one shot has none.

    The shots of the same burst are left out with each shot where the class has other bursts.
    """
    shares = {}
    for row, proto in enumerate(prototypes.classes):
        rows, bursts = proto.shots.embeddings, np.array(proto.shots.bursts)
        if len(rows) < 2:
            continue
        near = prototypes.near(rows)
        others = prototypes.scores_many(rows, near)
        others[:, row if near is None else near == row] = -np.inf
        several = len(set(bursts)) > 1
        left_out = [bursts != bursts[i] if several else np.arange(len(rows)) != i for i in range(len(rows))]
        means = [class_mean(rows[keep], prototypes.metric) for keep in left_out]
        own = [similarity(mean[None], z, prototypes.metric)[0] for mean, z in zip(means, rows, strict=True)]
        shares[proto.shots.label] = float(np.mean(own > others.max(axis=1)))
    return shares


def report(was: str, now: str, before: Prototypes, after: Prototypes, aside: Path | None) -> SwapReport:
    """Compare two models on a gallery; `was` and `now` are the names of their bundles."""
    shots = sum(len(proto.shots.ids) for proto in after.classes)
    shares = named_right(before), named_right(after)
    return SwapReport(was, now, shots, len(after.classes), *shares, None if aside is None else str(aside))


def replace_all(
    gallery: Gallery, embed: Embed, embeddings: dict[int, NDArray[np.float32]], bundle: Bundle, precision: str | None
) -> None:
    """Replace all embeddings. If shots were taught in the meantime, they are embedded and it is tried again."""
    for _ in range(ROUNDS):
        embeddings = embedded(gallery, embed, embeddings)
        try:
            gallery.replace_embeddings(embeddings, fingerprint=bundle.fingerprint, dim=bundle.dim, precision=precision)
        except InvalidShot:
            if set(gallery.stored_ids()) <= set(embeddings):
                raise
        else:
            return
    raise GalleryUnwritable(
        f"{gallery.path} must not change while it is embedded again, but shots are added; stop teaching and retry"
    )


def reembed_gallery(
    path: str | Path, bundle: Bundle, embed: Embed, progress: Progress | None = None, precision: str | None = None
) -> int:
    """Embed all shots of a gallery again for a bundle, including forgotten shots that undo can restore.

    The old embeddings are saved, so that going back to the old bundle is exact.

    Args:
        path: The gallery.
        bundle: The new bundle.
        embed: Embeds frames with it: list of `uint8 [H, W, 3]` -> `float32 [N, D]`.
        progress: Called with (shots done, all shots).
        precision: Of the artifact that embeds; None if it is not known.

    Returns:
        The number of shots; 0 if the gallery belongs to the bundle, and as far as known to the precision, already.

    Raises:
        GalleryMismatch: A shot has no crop; nothing was changed.
    """
    gallery = open_gallery(path, fingerprint=None, dim=None)
    try:
        if gallery.fingerprint == bundle.fingerprint and (not precision or gallery.precision in (None, precision)):
            return 0
        embeddings = embedded(gallery, embed, read_aside(gallery, bundle.fingerprint, precision), progress)
        write_aside(gallery)
        replace_all(gallery, embed, embeddings, bundle, precision)
        return len(embeddings)
    finally:
        gallery.close()


def require_model(gallery: Gallery, bundle: Bundle) -> None:
    """Raise GalleryMismatch unless this bundle filled the gallery."""
    if (gallery.fingerprint, gallery.dim) != (bundle.fingerprint, bundle.dim):
        raise GalleryMismatch(
            f"The gallery {gallery.path} must be filled by {bundle.name} ({bundle.fingerprint[:12]}), but was "
            f"filled by another model ({gallery.fingerprint[:12]}). Open it by its path and embed it again: "
            "Recognizer(bundle, gallery=PATH, reembed=True)."
        )


def warn_of_precision(gallery: Gallery, bundle: Bundle, precision: str) -> None:
    """Log a warning if another precision of this bundle filled the gallery."""
    if not gallery.classes or gallery.precision in (None, precision):
        return
    where = "a gallery in memory" if gallery.path is None else str(gallery.path)
    do = f"open it with precision={gallery.precision!r}"
    if gallery.path is not None:
        of = "" if bundle.path is None else f" --bundle {quote(str(bundle.path))}"
        do += f", or run: edgefs gallery reembed --precision {precision} --gallery {quote(where)}{of}"
    log.warning(
        "%s was filled in %s and is used in %s. The embeddings of two precisions differ a little: expect lower scores, "
        "and more answers that are unknown or wrong. To end that, %s",
        *(where, gallery.precision, precision, do),
    )


def compare_models(
    path: str | Path, bundle: Bundle, embed: Embed, progress: Progress | None = None, precision: str | None = None
) -> tuple[dict[str, float], dict[str, float]] | None:
    """Call `reembed_gallery`, and compare the leave-one-out accuracy of each class before and after.

    The old model is measured by cosines, because its metric is not known here.

    Returns:
        (accuracy before, accuracy after), each by class; None if the gallery belongs to the bundle already.
    """
    before = _shares_named_right(path, "cosine")
    if not reembed_gallery(path, bundle, embed, progress, precision):
        return None
    return before, _shares_named_right(path, bundle.metric)


def _shares_named_right(path: str | Path, metric: str) -> dict[str, float]:
    gallery = open_gallery(path, fingerprint=None, dim=None)
    try:
        return named_right(Prototypes(metric, gallery.dim).update(gallery.classes))
    finally:
        gallery.close()


def _chunks(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]

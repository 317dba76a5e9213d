"""A new model for a gallery in use: nothing is lost, recognition goes on, and it can be taken back.

1. The new bundle is opened beside the old one, and every stored shot is embedded again from its crop, forgotten ones
   that undo could bring back too. The old model goes on recognising; what is taught meanwhile is embedded too.
2. The old embeddings are written aside (`<gallery>.before-<model>.npz`), so that going back needs no crops.
3. One transaction replaces all embeddings. Killed at any moment, the gallery is wholly of one model.

Before and after are compared on the gallery itself: every shot taken out in turn, by the class it is then given.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import Bundle
from runtime.errors import GalleryCorrupt, GalleryMismatch, GalleryUnwritable, InvalidShot
from runtime.gallery import Gallery, open_gallery
from runtime.matching.prototypes import Prototypes, class_mean, similarity
from runtime.opencv import decode_image

Embed = Callable[[list[NDArray[np.uint8]]], NDArray[np.float32]]
Progress = Callable[[int, int], None]  # shots done, of how many
CHUNK = 32  # crops decoded at a time
ROUNDS = 20  # of catching up with what is taught meanwhile


@dataclass(frozen=True)
class SwapReport:
    """What a swap did.

    before, after: per class, the share of its shots, 0..1, that the others name right; a class of one shot has none.
    aside: where the old embeddings lie, for `rollback`; None for a gallery in memory.
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
        """Classes that the new model names less surely."""
        return tuple(label for label, share in self.after.items() if share < self.before.get(label, 0.0))


def embedded(
    gallery: Gallery, embed: Embed, known: Mapping[int, NDArray[np.float32]], progress: Progress | None = None
) -> dict[int, NDArray[np.float32]]:
    """Embed every stored shot from its crop, but for those `known`; until nothing new was taught meanwhile.

    Raises GalleryMismatch when a shot has no crop (privacy mode).
    """
    done = dict(known)
    for _ in range(ROUNDS):
        missing = [shot_id for shot_id in gallery.stored_ids() if shot_id not in done]
        if not missing:
            break
        require_crops(gallery, missing)
        for some in _chunks(missing):
            frames = [decode_image(gallery.crop(shot_id) or b"", f"crop of shot {shot_id}") for shot_id in some]
            done.update(zip(some, embed(frames), strict=True))
            if progress:
                progress(len(done), len(done) + len(missing) - missing.index(some[-1]) - 1)
    return done


def require_crops(gallery: Gallery, ids: list[int]) -> None:
    """Raise GalleryMismatch unless every shot can be embedded again."""
    without = [shot_id for shot_id in ids if gallery.crop(shot_id) is None]
    if without:
        raise GalleryMismatch(
            f"{gallery.path} can only be re-embedded from crops, but {len(without)} of its {len(ids)} shots have none "
            f"(such as {without[:3]}); teach those classes again, or go on with the bundle that filled it"
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
        others = prototypes.rows.scores_many(rows)
        others[:, row] = -np.inf
        several = len(set(bursts)) > 1
        left_out = [bursts != bursts[i] if several else np.arange(len(rows)) != i for i in range(len(rows))]
        means = [class_mean(rows[keep], prototypes.metric) for keep in left_out]
        own = [similarity(mean[None], z, prototypes.metric)[0] for mean, z in zip(means, rows, strict=True)]
        shares[proto.shots.label] = float(np.mean(own > others.max(axis=1)))
    return shares


def report(was: str, now: str, before: Prototypes, after: Prototypes, aside: Path | None) -> SwapReport:
    """Compare a gallery as two models see it. was, now: names of their bundles."""
    shots = sum(len(proto.shots.ids) for proto in after.classes)
    shares = named_right(before), named_right(after)
    return SwapReport(was, now, shots, len(after.classes), *shares, None if aside is None else str(aside))


def aside_path(gallery: Gallery, fingerprint: str) -> Path | None:
    """Where the embeddings of a model are written before they are replaced."""
    return (
        None if gallery.path is None else gallery.path.with_name(f"{gallery.path.name}.before-{fingerprint[:12]}.npz")
    )


def write_aside(gallery: Gallery) -> Path | None:
    """Write all embeddings as they are, durably; returns where. Raises GalleryUnwritable."""
    path = aside_path(gallery, gallery.fingerprint)
    if path is None:
        return None
    stored = gallery.stored_embeddings()
    ids = np.array(sorted(stored), np.int64)
    rows = np.array([stored[int(i)] for i in ids], np.float32).reshape(-1, gallery.dim)
    digest = np.frombuffer(_digest(ids, rows, gallery.fingerprint), np.uint8)
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            buffer = io.BytesIO()
            np.savez(buffer, ids=ids, embeddings=rows, fingerprint=np.array(gallery.fingerprint), digest=digest)
            file.write(buffer.getvalue())
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise GalleryUnwritable(
            f"{path} must be writable to keep the old embeddings, but: {error.strerror or error}. Nothing was changed."
        ) from error
    return path


def read_aside(gallery: Gallery, fingerprint: str) -> dict[int, NDArray[np.float32]]:
    """The embeddings an earlier model gave, by shot; empty if none were kept. Raises GalleryCorrupt."""
    path = aside_path(gallery, fingerprint)
    if path is None or not path.exists():
        return {}
    try:
        with np.load(path, allow_pickle=False) as data:
            ids, rows, digest = data["ids"], data["embeddings"], data["digest"].tobytes()
            sound = str(data["fingerprint"]) == fingerprint and _digest(ids, rows, fingerprint) == digest
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise GalleryCorrupt(f"{path} must hold old embeddings, but cannot be read: {error}. Remove it.") from error
    if not sound:
        raise GalleryCorrupt(f"{path} must be what was written, but its digest does not fit. Remove it.")
    stored = set(gallery.stored_ids())
    return {int(i): row for i, row in zip(ids, rows, strict=True) if int(i) in stored}


def replace_all(
    gallery: Gallery, embed: Embed, embeddings: dict[int, NDArray[np.float32]], *, fingerprint: str, dim: int
) -> None:
    """Put the new embeddings in place; what was taught at the last moment is embedded and it is tried again."""
    for _ in range(ROUNDS):
        embeddings = embedded(gallery, embed, embeddings)
        try:
            gallery.replace_embeddings(embeddings, fingerprint=fingerprint, dim=dim)
        except InvalidShot:
            if set(gallery.stored_ids()) <= set(embeddings):
                raise
        else:
            return
    raise GalleryUnwritable(f"{gallery.path} is taught faster than it can be embedded; stop teaching and try again")


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
    before = _shares_named_right(path, "cosine")
    if not reembed_gallery(path, bundle, embed, progress):
        return None
    return before, _shares_named_right(path, bundle.metric)


def _shares_named_right(path: str | Path, metric: str) -> dict[str, float]:
    gallery = open_gallery(path, fingerprint=None, dim=None)
    try:
        return named_right(Prototypes(metric, gallery.dim).update(gallery.classes))
    finally:
        gallery.close()


def _digest(ids: NDArray[np.int64], rows: NDArray[np.float32], fingerprint: str) -> bytes:
    return sha256(repr((ids.shape, rows.shape, fingerprint)).encode() + ids.tobytes() + rows.tobytes()).digest()


def _chunks(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]

"""The main job: show it, name it, and from then on it is recognised; a stranger is unknown. No training step anywhere.

with Recognizer(default_bundle(), gallery="shop.db") as rec:
    rec.enroll("mug", frames)
    rec.recognize(frame).label      # "mug", or None for unknown
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import Bundle
from runtime.engines import Engine, open_engine
from runtime.errors import EngineError, GalleryMismatch
from runtime.gallery import ClassShots, Gallery, NewShot, clean_label, open_gallery
from runtime.opencv import encode_jpeg, load_cv2
from runtime.preprocess import Frames, as_frames, chunks
from runtime.prototypes import Prototypes
from runtime.quality import FrameQuality, blurred, measure, same_view
from runtime.recognition import AcceptedFrame, Enrollment, NearestShot, Recognition, RejectedFrame
from runtime.reembed import reembed_gallery
from runtime.unknowns import ACCEPTED, EMPTY, Match, Rejection, decide

if TYPE_CHECKING:
    from types import TracebackType

CHUNK = 16  # frames per engine call: more gains little on a CPU and costs memory
CROP_SIDE = 320  # pixels, the shorter side of a stored crop: enough for a later bundle with a larger input


class Recognizer:
    """Enrols and recognises on one bundle, one engine and one gallery. Safe from several threads.

    gallery: a file (created if absent), an opened Gallery, or None to keep it in memory only.
    engine: "auto", "onnxruntime", "openvino", or an opened engine.  threads, precision: see `open_engine`.
        An opened gallery or engine stays open: who opened it closes it.
    stranger_rate: the share of strangers that may be accepted, on the bundle's calibration; None: never unknown.
    reembed: a gallery filled by another model is embedded again from its crops instead of refused.

    Raises GalleryMismatch, GalleryCorrupt, GalleryUnwritable, EngineMissing, EngineError or OptionError.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        gallery: str | Path | Gallery | None = None,
        engine: str | Engine = "auto",
        threads: int | None = None,
        precision: str | None = None,
        stranger_rate: float | None = 0.05,
        reembed: bool = False,
    ) -> None:
        self.bundle = bundle
        self._preprocess = bundle.preprocess
        self._rejection = None
        if stranger_rate is not None:
            self._rejection = Rejection(bundle.calibration, stranger_rate, bundle.background())
        self._refreshing = threading.Lock()
        with ExitStack() as opened:
            self.engine = open_engine(bundle, engine, precision=precision, threads=threads)
            if isinstance(engine, str):
                opened.callback(self.engine.close)
            if reembed and isinstance(gallery, (str, Path)) and Path(gallery).exists():
                reembed_gallery(gallery, bundle, self.embed)
            if gallery is None or isinstance(gallery, (str, Path)):
                gallery = open_gallery(gallery, fingerprint=bundle.fingerprint, dim=bundle.dim)
                opened.callback(gallery.close)
            if (gallery.fingerprint, gallery.dim) != (bundle.fingerprint, bundle.dim):
                raise GalleryMismatch(
                    f"The gallery {gallery.path} must be filled by {bundle.name} ({bundle.fingerprint[:12]}), but was "
                    f"filled by another model ({gallery.fingerprint[:12]}). Open it by its path: "
                    "Recognizer(bundle, gallery=..., reembed=True)."
                )
            self._opened = opened.pop_all()
        self.gallery: Gallery = gallery
        self._prototypes = Prototypes(bundle.metric, bundle.dim).update(gallery.classes)

    @property
    def labels(self) -> list[str]:
        """The classes taught so far, in the order they were first shown."""
        return list(self.gallery.classes)

    def embed(self, frames: Frames) -> NDArray[np.float32]:
        """Embed frames (`uint8` BGR or grey; one, a 4-d array, any iterable): `float32 [N, D]`. Raises FrameError."""
        parts = [self._embed_inputs(self._preprocess.batch(some)) for some in chunks(frames, CHUNK)]
        return np.concatenate(parts) if parts else np.zeros((0, self.bundle.dim), np.float32)

    def enroll(self, label: str, frames: Frames, *, source: str = "api") -> Enrollment:
        """Teach a class from frames of one burst, or add to it. All accepted shots are stored in one transaction.

        Frames that carry nothing new are rejected with a reason. Bad input raises FrameError or InvalidLabel and
        changes nothing; GalleryUnwritable when the disk refuses.
        """
        label = clean_label(label)
        embeddings, crops, qualities = self._observe(frames)
        sharpness = np.array([quality.sharpness for quality in qualities])
        blur = blurred(sharpness)
        best = float(np.quantile(sharpness, 0.75)) if len(sharpness) else 1.0
        known = self.gallery.classes.get(label)
        taken = known.embeddings if known else np.zeros((0, self.bundle.dim), np.float32)
        burst, now = uuid.uuid4().hex, time.time()
        shots: list[NewShot] = []
        indices: list[int] = []
        rejected = []
        for i, embedding in enumerate(embeddings):
            reason = qualities[i].exposure_fault() or ("blurred" if blur[i] else None)
            if reason is None and same_view(embedding, taken):
                reason = "same view"
            if reason is not None:
                rejected.append(RejectedFrame(i, reason))
                continue
            taken = np.vstack([taken, embedding])
            quality = min(1.0, float(sharpness[i]) / max(best, 1e-6))
            shots.append(NewShot(embedding, crops[i], burst, quality, source, now))
            indices.append(i)
        ids = self.gallery.add(label, shots) if shots else []
        self._refresh()
        accepted = tuple(AcceptedFrame(i, shot_id) for i, shot_id in zip(indices, ids, strict=True))
        return Enrollment(label, accepted, tuple(rejected), tuple(_advice(len(taken), accepted, rejected)))

    def recognize(self, frame: NDArray[np.uint8]) -> Recognition:
        """Recognise one frame, `uint8 [H, W, 3]` BGR or grey `[H, W]`. Raises FrameError."""
        start = time.perf_counter()
        inputs = np.empty((1, *self._preprocess.shape), np.uint8)
        self._preprocess(frame, inputs[0])
        prepared = time.perf_counter()
        embedding = self._embed_inputs(inputs)[0]
        embedded = time.perf_counter()
        return self._match(embedding, start, prepared, embedded)

    def recognize_many(self, frames: Frames) -> list[Recognition]:
        """Recognise frames in batches; the timings of each are its share of the batch."""
        answers = []
        for some in chunks(frames, CHUNK):
            start = time.perf_counter()
            inputs = self._preprocess.batch(some)
            prepared = time.perf_counter()
            embeddings = self._embed_inputs(inputs)
            embedded = time.perf_counter()
            share = 1 / len(inputs)
            for embedding in embeddings:
                now = time.perf_counter()
                at = now - (embedded - prepared) * share
                answers.append(self._match(embedding, at - (prepared - start) * share, at, now))
        return answers

    def reject(self, frame: NDArray[np.uint8], label: str) -> int:
        """ "Not this": keep the frame as a negative example of a class; returns its id. Raises UnknownLabel."""
        embeddings, crops, _ = self._observe([frame])
        shot = NewShot(embeddings[0], crops[0], uuid.uuid4().hex, 1.0, "reject", time.time())
        (shot_id,) = self.gallery.add(label, [shot], negative=True)
        self._refresh()
        return shot_id

    def forget(self, label: str) -> int:
        """Forget a class; returns how many shots it had. Raises UnknownLabel."""
        count = self.gallery.forget(label)
        self._refresh()
        return count

    def rename(self, label: str, to: str) -> None:
        """Rename a class. Raises UnknownLabel, or InvalidLabel when the name is taken (merge instead)."""
        self.gallery.rename(label, to)
        self._refresh()

    def merge(self, label: str, into: str) -> int:
        """Move every shot of a class into another; returns how many. Raises UnknownLabel."""
        count = self.gallery.merge(label, into)
        self._refresh()
        return count

    def undo(self) -> str:
        """Take back the newest change; returns what it was, in words. Raises NothingToUndo."""
        what = self.gallery.undo()
        self._refresh()
        return what

    def refresh(self) -> bool:
        """Take in what other processes changed in the gallery file; returns whether there was anything."""
        changed = self.gallery.refresh()
        self._refresh()
        return changed

    def close(self) -> None:
        """Close the engine and the gallery it opened; nothing that was acknowledged is lost without it."""
        self._opened.close()

    def __enter__(self) -> Recognizer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _refresh(self) -> None:
        with self._refreshing:  # else a slower thread could put an older snapshot in place
            self._prototypes = self._prototypes.update(self.gallery.classes)

    def _embed_inputs(self, inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
        embeddings = np.asarray(self.engine.embed(inputs), np.float32)
        if embeddings.shape != (len(inputs), self.bundle.dim) or not np.isfinite(embeddings).all():
            raise EngineError(
                f"{self.engine.info.name} must answer finite float32 [{len(inputs)}, {self.bundle.dim}], but gave "
                f"{embeddings.shape} with {int((~np.isfinite(embeddings)).sum())} NaN or infinite; run bundle.verify()"
            )
        return embeddings

    def _observe(self, frames: Frames) -> tuple[NDArray[np.float32], list[bytes], list[FrameQuality]]:
        """Embedding, JPEG crop and quality of each frame; only these stay in memory, however many frames there are."""
        inputs, crops, qualities = [], [], []
        for frame in as_frames(frames):
            inputs.append(self._preprocess(frame))
            crops.append(_crop(frame))
            qualities.append(measure(frame))
        parts = [self._embed_inputs(np.stack(inputs[i : i + CHUNK])) for i in range(0, len(inputs), CHUNK)]
        embeddings = np.concatenate(parts) if parts else np.zeros((0, self.bundle.dim), np.float32)
        return embeddings, crops, qualities

    def _match(self, embedding: NDArray[np.float32], start: float, prepared: float, embedded: float) -> Recognition:
        prototypes = self._prototypes
        match = decide(prototypes, embedding, self._rejection)
        done = time.perf_counter()
        timings = {
            "preprocess": (prepared - start) * 1e3,
            "embed": (embedded - prepared) * 1e3,
            "match": (done - embedded) * 1e3,
            "total": (done - start) * 1e3,
        }
        return _recognition(match, prototypes.classes, timings)


def _recognition(match: Match, classes: Sequence[ClassShots], timings: dict[str, float]) -> Recognition:
    if match is EMPTY:
        return Recognition(None, None, match.score, match.threshold, None, match.margin, match.check, (), timings)
    shots = classes[match.row]
    return Recognition(
        label=shots.label if match.check == ACCEPTED else None,
        candidate=shots.label,
        score=match.score,
        threshold=match.threshold,
        runner_up=classes[match.runner_up].label if match.runner_up >= 0 else None,
        margin=match.margin,
        check=match.check,
        nearest=tuple(NearestShot(int(shots.ids[i]), score) for i, score in match.nearest),
        timings_ms=timings,
    )


def _crop(frame: NDArray[np.uint8]) -> bytes:
    """The whole frame, its shorter side at most CROP_SIDE: any later bundle can crop and resize it its own way."""
    scale = CROP_SIDE / min(frame.shape[:2])
    if scale < 1:
        cv2 = load_cv2()
        frame = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return encode_jpeg(frame)


def _advice(n_shots: int, accepted: Sequence[AcceptedFrame], rejected: Sequence[RejectedFrame]) -> Iterator[str]:
    reasons = [frame.reason for frame in rejected]
    what_to_do = {
        "too dark": "add light",
        "too bright": "turn the light down or shorten the exposure",
        "blurred": "hold still for a moment",
        "same view": "turn the object or move the camera",
    }
    for reason in sorted(set(reasons), key=reasons.count, reverse=True):
        if not accepted or reasons.count(reason) > len(accepted) or reason != "same view":
            yield f"{reasons.count(reason)} of {len(accepted) + len(rejected)} frames: {reason}; {what_to_do[reason]}"
    if accepted and n_shots < 5:
        yield f"{n_shots} view{'s' if n_shots > 1 else ''} so far; five different ones make it reliable"
    if not accepted and not rejected:
        yield "no frames came in"

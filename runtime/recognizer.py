"""The main job: show it, name it, and from then on it is recognised; a stranger is unknown. No training step anywhere.

with Recognizer(default_bundle(), gallery="shop.db") as rec:
    rec.enroll("mug", frames)
    rec.recognize(frame).label      # "mug", or None for unknown
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime import explain
from runtime.bundle import Bundle
from runtime.engines import Engine
from runtime.errors import NothingToUndo
from runtime.explain import summaries
from runtime.gallery import Gallery, clean_label, open_gallery
from runtime.gallery.shots import checked_embedding
from runtime.gallery.unknown_frames import Bank
from runtime.matching.matcher import Matcher, recognition_of
from runtime.model import CHUNK, Model, open_model
from runtime.preprocess import Frames, chunks
from runtime.recognition import AcceptedFrame, ClassSummary, Enrollment, Recognition, RejectPreview, timings_ms
from runtime.stream.recent_answers import Ring
from runtime.swap import (
    Progress,
    SwapReport,
    embedded,
    read_aside,
    reembed_gallery,
    replace_all,
    report,
    require_model,
    write_aside,
)
from runtime.teaching.enrolling import Observation, advice, choose, new_shots

if TYPE_CHECKING:
    from types import TracebackType

    from runtime.explain import Explanation
    from runtime.stream.strangers import Inbox


class Recognizer:
    """Enrols and recognises on one bundle, one engine and one gallery. Safe from several threads.

    bank: frames that show nothing taught; `bank.offer(answer, time_s)` samples them as the camera runs.

    gallery: a file (created if absent), an opened Gallery, or None to keep it in memory only.
    engine: "auto", "onnxruntime", "openvino", or an opened engine.  threads, precision: see `open_engine`.
        An opened gallery or engine stays open: who opened it closes it.
    stranger_rate: the share of strangers that may be accepted; None: never unknown.
    head: how a class is scored: "auto", "mean", "subprototypes" or "lda" (`runtime/matching/heads.py`).
    keep_crops: False stores embeddings only (privacy): no pictures to show, and no other model can take over. The
        gallery remembers it; None: as the gallery says, a new one keeps them.
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
        head: str = "auto",
        keep_crops: bool | None = None,
        reembed: bool = False,
    ) -> None:
        self._options: dict[str, Any] = {"stranger_rate": stranger_rate, "head": head}
        self._writing = threading.RLock()  # a swap must not fall between a look and what is stored of it
        with ExitStack() as opened:
            self._model = open_model(opened, bundle, engine, threads, precision, **self._options)
            if reembed and isinstance(gallery, (str, Path)) and Path(gallery).exists():
                reembed_gallery(gallery, bundle, self.embed)
            if gallery is None or isinstance(gallery, (str, Path)):
                gallery = open_gallery(gallery, fingerprint=bundle.fingerprint, dim=bundle.dim)
                opened.callback(gallery.close)
            require_model(gallery, bundle)
            if keep_crops is not None:
                gallery.set_keep_crops(keep_crops)
            self.bank = Bank(gallery)
            self._opened = opened.pop_all()
        self.gallery: Gallery = gallery
        self._before: Model | None = None  # the model a swap replaced

    @property
    def bundle(self) -> Bundle:
        """The bundle at work."""
        return self._model.bundle

    @property
    def engine(self) -> Engine:
        """The engine it runs on."""
        return self._model.engine

    @property
    def labels(self) -> list[str]:
        """The classes taught so far, in the order they were first shown."""
        return list(self.gallery.classes)

    def classes(self) -> list[ClassSummary]:
        """How well each class is known, in the order they were first shown."""
        return summaries(self._up_to_date(), self._options["stranger_rate"])

    def embed(self, frames: Frames) -> NDArray[np.float32]:
        """Embed frames (`uint8` BGR or grey; one, a 4-d array, any iterable): `float32 [N, D]`. Raises FrameError."""
        return self._model.embed(frames)

    def observe(self, frames: Frames) -> list[Observation]:
        """Embedding, crop and quality of each frame; only these stay in memory, however many frames there are."""
        return self._model.observe(frames, keep_crops=self.gallery.keep_crops)

    def enroll(self, label: str, frames: Frames, *, source: str = "api") -> Enrollment:
        """Teach a class from frames of one burst, or add to it. All accepted shots are stored in one transaction.

        Frames that carry nothing new are rejected with a reason. Bad input raises FrameError or InvalidLabel and
        changes nothing; GalleryUnwritable when the disk refuses.
        """
        label = clean_label(label)
        return self.enroll_observed(label, self.observe(frames), source=source)

    def enroll_observed(self, label: str, observations: Sequence[Observation], *, source: str = "api") -> Enrollment:
        """`enroll` for frames that were looked at already, as one burst."""
        label = clean_label(label)
        with self._writing:
            observations = [self._model.as_seen_now(seen) for seen in observations]
            known = self.gallery.classes.get(label)
            taken = known.embeddings if known else np.zeros((0, self.bundle.dim), np.float32)
            kept, rejected, qualities = choose(observations, taken)
            shots = new_shots([observations[i] for i in kept], qualities, source=source, now_s=time.time())
            ids = self.gallery.add(label, shots) if shots else []
        accepted = tuple(AcceptedFrame(i, shot_id) for i, shot_id in zip(kept, ids, strict=True))
        lines = advice(len(taken) + len(accepted), accepted, rejected)
        return Enrollment(label, accepted, tuple(rejected), tuple(lines))

    def name_stranger(self, inbox: Inbox, id_: int, label: str) -> Enrollment:
        """Teach a class from the views an inbox kept of a stranger, who then leaves it. Raises UnknownLabel."""
        enrollment = self.enroll_observed(label, inbox.views(id_), source="inbox")
        inbox.dismiss(id_)
        return enrollment

    def recognize(self, frame: NDArray[np.uint8]) -> Recognition:
        """Recognise one frame, `uint8 [H, W, 3]` BGR or grey `[H, W]`. Raises FrameError."""
        start, model = time.perf_counter(), self._model
        inputs = np.empty((1, *model.preprocess.shape), np.uint8)
        model.preprocess(frame, inputs[0])
        prepared = time.perf_counter()
        embedding = model.embed_inputs(inputs)[0]
        embedded = time.perf_counter()
        return self._match(model, embedding, start, prepared, embedded)

    def recognize_many(self, frames: Frames) -> list[Recognition]:
        """Recognise frames in batches; the timings of each are its share of the batch."""
        answers = []
        for some in chunks(frames, CHUNK):
            start, model = time.perf_counter(), self._model
            inputs = model.preprocess.batch(some)
            prepared = time.perf_counter()
            embeddings = model.embed_inputs(inputs)
            embedded = time.perf_counter()
            share = 1 / len(inputs)
            for embedding in embeddings:
                now = time.perf_counter()
                at = now - (embedded - prepared) * share
                answers.append(self._match(model, embedding, at - (prepared - start) * share, at, now))
        return answers

    def match(self, embedding: ArrayLike) -> Recognition:
        """Score a stored embedding, `float32 [D]`, as if its frame came now. Raises InvalidShot."""
        now, model = time.perf_counter(), self._model
        return self._match(model, checked_embedding(embedding, model.bundle.dim), now, now, now)

    def match_many(self, embeddings: ArrayLike) -> list[Recognition]:
        """Score stored embeddings, `float32 [N, D]`. Raises InvalidShot."""
        return [self.match(embedding) for embedding in np.asarray(embeddings)]

    def explain(self, recognition: Recognition) -> Explanation:
        """Why an answer is what it is: the nearest shots with their crops, and sentences for people."""
        return explain.explain(recognition, self.gallery)

    def reject(self, frame: NDArray[np.uint8], label: str) -> int:
        """ "Not this": keep the frame as a negative example of a class; returns its id. Raises UnknownLabel."""
        return self.reject_observed(self.observe([frame])[0], label)

    def reject_observed(self, seen: Observation, label: str) -> int:
        """`reject` for a frame that was looked at already."""
        with self._writing:
            shots = new_shots([self._model.as_seen_now(seen)], [1.0], source="reject", now_s=time.time())
            (shot_id,) = self.gallery.add(label, shots, negative=True)
        return shot_id

    def preview_reject(self, what: NDArray[Any], label: str, ring: Ring) -> RejectPreview:
        """Which recent answers a `reject` would change, before it is done.

        what: a frame, `uint8`, or the embedding `float32 [D]` of an answer.  Raises UnknownLabel, FrameError.
        """
        self.gallery.records(label)  # raises UnknownLabel
        model = self._model
        negative = model.embed(what)[0] if what.dtype == np.uint8 else checked_embedding(what, model.bundle.dim)
        return model.preview_reject(self.gallery, self.bank, clean_label(label), negative, ring.answers())

    def watch_strangers(self, frames: Frames) -> int:
        """Learn from frames in which nothing taught is in view what strangers look like here; returns how many."""
        embeddings = self.embed(frames)
        self.bank.tell(embeddings)
        return len(embeddings)

    def swap(
        self,
        bundle: Bundle,
        *,
        engine: str | Engine = "auto",
        threads: int | None = None,
        precision: str | None = None,
        progress: Progress | None = None,
    ) -> SwapReport:
        """Let another bundle take over, all classes embedded again from their crops; recognition goes on meanwhile.

        It takes as long as embedding every shot: call it in a thread beside a camera. progress(done, of) is called as
        it goes. Raises GalleryMismatch when a shot has no crop (privacy mode), BundleError, EngineError or
        GalleryUnwritable; then everything is as before.
        """
        with ExitStack() as opened:
            new = open_model(opened, bundle, engine, threads, precision, **self._options)
            embeddings = embedded(self.gallery, new.embed, read_aside(self.gallery, bundle.fingerprint), progress)
            with self._writing:
                old, before = self._model, self._up_to_date().prototypes
                aside = write_aside(self.gallery)
                replace_all(self.gallery, new.embed, embeddings, fingerprint=bundle.fingerprint, dim=bundle.dim)
                self.bank = Bank(self.gallery)  # of no use to the new model, so it is empty
                self._model, self._before = new, old
            self._opened.push(opened.pop_all())  # the old engine stays open too: other threads may be using it
        return report(old.bundle.name, bundle.name, before, self._up_to_date().prototypes, aside)

    def rollback(self) -> SwapReport:
        """Take back the last `swap` of this recognizer: the old embeddings, to the bit. Raises NothingToUndo."""
        if self._before is None:
            raise NothingToUndo("There must be a swap to roll back, but this recognizer made none. Use swap(bundle).")
        return self.swap(self._before.bundle, engine=self._before.engine)

    def keep_shot(self, shot_id: int) -> str:
        """Say that a shot which was set aside is right, and count it; returns its class. Raises InvalidShot."""
        return self.gallery.keep_shot(shot_id)

    def remove_shot(self, shot_id: int) -> str:
        """Remove one shot, such as one set aside rightly; returns its class. Raises InvalidShot for the last one."""
        return self.gallery.remove_shot(shot_id)

    def forget(self, label: str) -> int:
        """Forget a class; returns how many shots it had. Raises UnknownLabel."""
        return self.gallery.forget(label)

    def rename(self, label: str, to: str) -> None:
        """Rename a class. Raises UnknownLabel, or InvalidLabel when the name is taken (merge instead)."""
        self.gallery.rename(label, to)

    def merge(self, label: str, into: str) -> int:
        """Move every shot of a class into another; returns how many. Raises UnknownLabel."""
        return self.gallery.merge(label, into)

    def undo(self) -> str:
        """Take back the newest change; returns what it was, in words. Raises NothingToUndo."""
        return self.gallery.undo()

    def undo_preview(self) -> str | None:
        """What `undo` would take back, in words; None when there is nothing."""
        history = self.gallery.history()
        return history[0].what if history else None

    def refresh(self) -> bool:
        """Take in what other processes changed in the gallery file; returns whether there was anything."""
        return self.gallery.refresh()

    def close(self) -> None:
        """Close the engine and the gallery it opened; nothing that was acknowledged is lost without it."""
        self._opened.close()

    def __enter__(self) -> Recognizer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _up_to_date(self) -> Matcher:
        return self._model.matcher(self.gallery, self.bank)

    def _match(
        self, model: Model, embedding: NDArray[np.float32], start: float, prepared: float, embedded: float
    ) -> Recognition:
        matcher = model.matcher(self.gallery, self.bank)
        match = matcher.decide(embedding)
        timings = timings_ms(start, prepared, embedded, time.perf_counter())
        return recognition_of(match, matcher.prototypes.classes, timings, embedding)

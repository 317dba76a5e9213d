"""The main job: show a thing, name it, and from then on it is recognised; a stranger is unknown. Nothing is trained.

with Recognizer(default_bundle(), gallery="shop.db") as rec:
    rec.enroll("mug", frames)
    rec.recognize(frame).label      # "mug", or None
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime import explain
from runtime.bundle import Bundle
from runtime.engines import Engine
from runtime.errors import InvalidShot, NothingToUndo
from runtime.gallery import Gallery, clean_label, open_gallery
from runtime.gallery.recovery.asides import read_aside, write_aside
from runtime.gallery.shots import checked_embedding
from runtime.matching.matcher import Matcher, recognition_of
from runtime.model import CHUNK, Model, open_model
from runtime.preprocess import Frames, chunks
from runtime.recognition import (
    AcceptedFrame,
    ChangePreview,
    ClassSummary,
    Enrollment,
    Recognition,
    SimilarClass,
    timings_ms,
)
from runtime.stream.recent_answers import Ring
from runtime.swap import (
    Progress,
    SwapReport,
    embedded,
    reembed_gallery,
    replace_all,
    report,
    require_model,
    warn_of_precision,
)
from runtime.teaching.enrolling import Observation, advice, choose, crop_of, new_shots
from runtime.teaching.quality import FrameQuality, measure

if TYPE_CHECKING:
    from types import TracebackType

    from runtime.explain import Explanation
    from runtime.stream.strangers import Inbox

STRANGER_RATE = 0.05
REMEMBERED = 64  # answers whose prepared frame is kept, so that `confirm` can store a picture of it


class Recognizer:
    """Enrols and recognises with one bundle, one engine and one gallery. Safe to use from several threads.

    Args:
        bundle: The model.
        gallery: A file (created if absent), an opened Gallery, or None for one in memory.
        engine: "auto", a name of `runtime.engines.ENGINES`, or an opened engine. An opened gallery or engine is not
            closed by the recognizer.
        threads: CPU threads of the engine; None lets the engine decide.
        precision: Which artifact of the bundle to run; None means float32.
        device: Where OpenVINO runs: "CPU", "GPU", "NPU" or "AUTO"; None means the CPU, or another engine.
        stranger_rate: The share of strangers, 0..1, that may be given a name; None for a closed set, in which nothing
            is unknown; "gallery" for the rate that the gallery remembers, else 0.05.
        keep_crops: False stores embeddings only (privacy): there are no pictures to show and no other model can embed
            the shots again. None means what the gallery remembers; a new one keeps crops.
        reembed: Embed a gallery that another model filled again from its crops instead of refusing it.

    Raises:
        GalleryMismatch: Another model filled the gallery.
        GalleryCorrupt, GalleryUnwritable: The file is damaged, or cannot be written.
        EngineMissing, EngineError: No engine is installed, or none passes the check.
        OptionError: An option is out of its range.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        gallery: str | Path | Gallery | None = None,
        engine: str | Engine = "auto",
        threads: int | None = None,
        precision: str | None = None,
        device: str | None = None,
        stranger_rate: float | str | None = "gallery",
        keep_crops: bool | None = None,
        reembed: bool = False,
    ) -> None:
        self._writing = threading.RLock()  # a swap must not fall between an observation and its storing
        with ExitStack() as opened:
            self._model = open_model(opened, bundle, engine, threads, precision, device, None)
            if reembed and isinstance(gallery, (str, Path)) and Path(gallery).exists():
                reembed_gallery(gallery, bundle, self.embed, precision=self._precision)
            if gallery is None or isinstance(gallery, (str, Path)):
                gallery = open_gallery(gallery, fingerprint=bundle.fingerprint, dim=bundle.dim)
                opened.callback(gallery.close)
            require_model(gallery, bundle)
            warn_of_precision(gallery, bundle, self._precision)
            if keep_crops is not None:
                gallery.set_keep_crops(keep_crops)
            if stranger_rate == "gallery":
                stranger_rate = STRANGER_RATE if gallery.stranger_rate is None else gallery.stranger_rate
            self._model.stranger_rate = stranger_rate  # type: ignore[assignment]  # another string is refused there
            self._opened = opened.pop_all()
        self.gallery: Gallery = gallery
        self._before: Model | None = None  # the model that a swap replaced
        # Of the newest answers: the embedding, the prepared frame, and the fingerprint of the model.
        self._recent: deque[tuple[NDArray[np.float32], NDArray[np.uint8], str]] = deque(maxlen=REMEMBERED)

    @property
    def bundle(self) -> Bundle:
        """The bundle in use."""
        return self._model.bundle

    @property
    def engine(self) -> Engine:
        """The engine in use."""
        return self._model.engine

    @property
    def stranger_rate(self) -> float | None:
        """The share of strangers that may be given a name, 0..1; None for a closed set. It can be set at any time.

        `gallery.set_stranger_rate` makes the gallery remember a rate.
        """
        return self._model.stranger_rate

    @stranger_rate.setter
    def stranger_rate(self, rate: float | None) -> None:
        self._model.stranger_rate = rate

    @property
    def labels(self) -> list[str]:
        """The classes taught so far, in the order in which they were first shown."""
        return list(self.gallery.classes)

    def classes(self) -> list[ClassSummary]:
        """How well each class is known, in the order in which they were first shown."""
        return explain.summaries(self._up_to_date())

    def embed(self, frames: Frames) -> NDArray[np.float32]:
        """Embed frames.

        Args:
            frames: `uint8` BGR or grey: one frame, a 4-d array, or any iterable of frames.

        Returns:
            `float32 [N, D]`.

        Raises:
            FrameError: A frame is not a picture.
        """
        return self._model.embed(frames)

    def observe(self, frames: Frames) -> list[Observation]:
        """Embedding, crop and quality of each frame; only these stay in memory, however many frames there are."""
        return self._model.observe(frames, keep_crops=self.gallery.keep_crops)

    def enroll(self, label: str, frames: Frames, *, source: str = "api") -> Enrollment:
        """Teach a class from the frames of one burst, or add to it.

        All accepted shots are stored in one transaction. Frames that add nothing are rejected with a reason.

        Raises:
            FrameError, InvalidLabel: Bad input; nothing was changed.
            GalleryUnwritable: The gallery could not be written; nothing was changed.
        """
        label = clean_label(label)
        return self.enroll_observed(label, self.observe(frames), source=source)

    def enroll_observed(self, label: str, observations: Sequence[Observation], *, source: str = "api") -> Enrollment:
        """`enroll` for frames that were observed already, as one burst."""
        label = clean_label(label)
        with self._writing:
            observations = [self._model.as_seen_now(seen) for seen in observations]
            known = self.gallery.classes.get(label)
            taken = known.embeddings if known else np.zeros((0, self.bundle.dim), np.float32)
            kept, rejected, qualities = choose(observations, taken)
            shots = new_shots([observations[i] for i in kept], qualities, source=source, now_s=time.time())
            if shots:
                self._note_precision()
            ids = self.gallery.add(label, shots) if shots else []
        accepted = tuple(AcceptedFrame(i, shot_id) for i, shot_id in zip(kept, ids, strict=True))
        lines = advice(len(taken) + len(accepted), accepted, rejected)
        similar = self._similar(label) if accepted else ()
        return Enrollment(label, accepted, tuple(rejected), tuple(lines), similar)

    def name_stranger(self, inbox: Inbox, id_: int, label: str) -> Enrollment:
        """Teach a class from the views an inbox kept of a stranger, and remove it there. Raises UnknownLabel."""
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
        return self._match(model, embedding, start, prepared, embedded, inputs[0])

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
            for image, embedding in zip(inputs, embeddings, strict=True):
                now = time.perf_counter()
                at = now - (embedded - prepared) * share
                answers.append(self._match(model, embedding, at - (prepared - start) * share, at, now, image))
        return answers

    def match(self, embedding: ArrayLike) -> Recognition:
        """Match a stored embedding, `float32 [D]`, as if its frame came now. Raises InvalidShot."""
        now, model = time.perf_counter(), self._model
        return self._match(model, checked_embedding(embedding, model.bundle.dim), now, now, now)

    def match_many(self, embeddings: ArrayLike) -> list[Recognition]:
        """Match stored embeddings, `float32 [N, D]`. Raises InvalidShot."""
        return [self.match(embedding) for embedding in np.asarray(embeddings)]

    def explain(self, recognition: Recognition) -> Explanation:
        """Why an answer was given: the nearest shots with their crops, and sentences for people."""
        return explain.explain(recognition, self.gallery)

    def confirm(self, recognition: Recognition, frame: NDArray[np.uint8] | None = None) -> Enrollment:
        """ "Yes, it is": add the view of an answer to its candidate.

        Args:
            recognition: The answer; usually a "maybe".
            frame: Its frame. Without it the picture that was prepared for the engine is stored, which is known for the
                last 64 frames only.

        Raises:
            InvalidShot: The answer has no candidate, or its frame is needed and was not given.
            GalleryUnwritable: The gallery could not be written; nothing was changed.
        """
        if recognition.candidate is None:
            raise InvalidShot("Only an answer with a candidate can be confirmed, but nothing was taught. Use enroll().")
        return self.enroll_observed(recognition.candidate, [self._seen_of(recognition, frame)], source="confirmed")

    def reject(self, frame: NDArray[np.uint8], label: str) -> int:
        """ "Not this": store the frame as a negative example of a class; returns its id. Raises UnknownLabel."""
        return self.reject_observed(self.observe([frame])[0], label)

    def reject_observed(self, seen: Observation, label: str) -> int:
        """`reject` for a frame that was observed already."""
        with self._writing:
            shots = new_shots([self._model.as_seen_now(seen)], [1.0], source="reject", now_s=time.time())
            (shot_id,) = self.gallery.add(label, shots, negative=True)
        return shot_id

    def preview_reject(self, what: NDArray[Any], label: str, ring: Ring) -> ChangePreview:
        """Which recent answers a `reject` would change.

        Args:
            what: A frame, `uint8`, or the embedding `float32 [D]` of an answer.
            label: The class.
            ring: The recent answers.

        Raises:
            UnknownLabel: There is no such class.
            FrameError: The frame is not a picture.
        """
        label = clean_label(label)
        self.gallery.records(label)  # raises UnknownLabel
        model = self._model
        negative = model.embed(what)[0] if what.dtype == np.uint8 else checked_embedding(what, model.bundle.dim)
        return explain.preview_reject(self._up_to_date(), label, negative, ring.answers())

    def preview_rate(self, rate: float | None, ring: Ring) -> ChangePreview:
        """Which recent answers another stranger rate would change. Raises OptionError."""
        after = self._model.at_rate(self.gallery, rate)
        return explain.preview(self._up_to_date(), after, ring.answers())

    def watch_strangers(self, frames: Frames) -> int:
        """Learn from frames in which nothing taught is in view what strangers look like here; returns how many.

        From ten such frames on no threshold is lower than what the asked share of them reaches.
        """
        embeddings = self.embed(frames)
        self.gallery.add_unknown_frames(embeddings)
        return len(embeddings)

    def swap(
        self,
        bundle: Bundle,
        *,
        engine: str | Engine = "auto",
        threads: int | None = None,
        precision: str | None = None,
        device: str | None = None,
        progress: Progress | None = None,
    ) -> SwapReport:
        """Change to another bundle: all shots are embedded again from their crops while recognition goes on.

        It takes as long as embedding every shot; call it in a thread beside a camera.

        Args:
            bundle: The new bundle.
            engine: As in `Recognizer`.
            threads: As in `Recognizer`.
            precision: As in `Recognizer`.
            device: As in `Recognizer`.
            progress: Called with the number of shots done and the total.

        Raises:
            GalleryMismatch: A shot has no crop (privacy mode).
            BundleError, EngineError, GalleryUnwritable: Nothing was changed.
        """
        with ExitStack() as opened:
            new = open_model(opened, bundle, engine, threads, precision, device, self.stranger_rate)
            asked = new.engine.info.precision
            embeddings = embedded(
                self.gallery, new.embed, read_aside(self.gallery, bundle.fingerprint, asked), progress
            )
            with self._writing:
                old, before = self._model, self._up_to_date().prototypes
                aside = write_aside(self.gallery)
                replace_all(self.gallery, new.embed, embeddings, bundle, asked)
                self._model, self._before = new, old
            self._opened.push(opened.pop_all())  # other threads may still be using the old engine
        return report(old.bundle.name, bundle.name, before, self._up_to_date().prototypes, aside)

    def rollback(self) -> SwapReport:
        """Undo the last `swap` of this recognizer; the old embeddings return exactly. Raises NothingToUndo."""
        if self._before is None:
            raise NothingToUndo("There must be a swap to roll back, but this recognizer made none. Use swap(bundle).")
        return self.swap(self._before.bundle, engine=self._before.engine)

    def forget(self, label: str, *, now: bool = False) -> int:
        """Forget a class; returns how many shots it had. `now` deletes it for good at once. Raises UnknownLabel."""
        return self.gallery.forget(label, now=now)

    def rename(self, label: str, to: str) -> None:
        """Rename a class. Raises UnknownLabel, or InvalidLabel when the name is taken (merge instead)."""
        self.gallery.rename(label, to)

    def merge(self, label: str, into: str) -> int:
        """Move every shot of a class into another; returns how many. Raises UnknownLabel."""
        return self.gallery.merge(label, into)

    def undo(self) -> str:
        """Undo the newest change; returns what it was, in words. Raises NothingToUndo."""
        return self.gallery.undo()

    def redo(self) -> str:
        """Make the change that was undone last again; returns what it was, in words. Raises NothingToUndo."""
        return self.gallery.redo()

    def close(self) -> None:
        """Close the engine and the gallery that the recognizer opened. What was acknowledged is durable without it."""
        self._opened.close()

    def __enter__(self) -> Recognizer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _up_to_date(self) -> Matcher:
        return self._model.matcher(self.gallery)

    @property
    def _precision(self) -> str:
        return self.engine.info.precision

    def _note_precision(self) -> None:
        """Let an empty gallery remember the precision that is about to fill it."""
        if not self.gallery.classes and self.gallery.precision != self._precision and not self.gallery.stored_ids():
            self.gallery.set_precision(self._precision)

    def _similar(self, label: str) -> tuple[SimilarClass, ...]:
        matcher = self._up_to_date()
        row = [proto.shots.label for proto in matcher.prototypes.classes].index(label)
        return explain.similar_classes(matcher, row)

    def _seen_of(self, recognition: Recognition, frame: NDArray[np.uint8] | None) -> Observation:
        """The observation behind an answer. Raises InvalidShot when a picture is needed and none is left."""
        if frame is not None:
            return self.observe([frame])[0]
        known = (recent for recent in list(self._recent) if recent[0] is recognition.embedding)
        _, image, model = next(known, (None, None, self.bundle.fingerprint))
        if image is None and self.gallery.keep_crops:
            raise InvalidShot(
                "The frame of the answer must be given as well, because it is not one of the last "
                f"{REMEMBERED} recognised; use confirm(answer, frame)."
            )
        crop = crop_of(image) if image is not None and self.gallery.keep_crops else None
        quality = measure(image) if image is not None else FrameQuality(0, 255, 1.0)
        return Observation(recognition.embedding, crop, quality, model)

    def _match(
        self,
        model: Model,
        embedding: NDArray[np.float32],
        start: float,
        prepared: float,
        embedded: float,
        image: NDArray[np.uint8] | None = None,
    ) -> Recognition:
        matcher = model.matcher(self.gallery)
        match = matcher.decide(embedding)
        timings = timings_ms(start, prepared, embedded, time.perf_counter())
        answer = recognition_of(match, matcher.prototypes, timings, embedding)
        if image is not None:
            self._recent.append((answer.embedding, image, model.bundle.fingerprint))
        return answer

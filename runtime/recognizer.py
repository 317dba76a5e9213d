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
from runtime.bank import Bank
from runtime.bundle import Bundle
from runtime.engines import Engine, open_engine
from runtime.enrolling import Observation, advice, choose, crop_of, new_shots
from runtime.errors import EngineError, GalleryMismatch
from runtime.gallery import Gallery, clean_label, open_gallery
from runtime.gallery.shots import checked_embedding
from runtime.heads import HeadChooser
from runtime.matching import ACCEPTED, EMPTY, Match, Matcher
from runtime.preprocess import Frames, as_frames, chunks
from runtime.preview import preview_reject
from runtime.prior import Prior
from runtime.prototypes import Prototype, Prototypes
from runtime.quality import measure
from runtime.recognition import (
    AcceptedFrame,
    ClassSummary,
    Enrollment,
    NearestShot,
    Recognition,
    RejectPreview,
)
from runtime.reembed import reembed_gallery
from runtime.ring import Ring
from runtime.unknowns import acceptance

if TYPE_CHECKING:
    from types import TracebackType

    from runtime.explain import Explanation
    from runtime.inbox import Inbox

CHUNK = 16  # frames per engine call: more gains little on a CPU and costs memory


class Recognizer:
    """Enrols and recognises on one bundle, one engine and one gallery. Safe from several threads.

    gallery: a file (created if absent), an opened Gallery, or None to keep it in memory only.
    engine: "auto", "onnxruntime", "openvino", or an opened engine.  threads, precision: see `open_engine`.
        An opened gallery or engine stays open: who opened it closes it.
    stranger_rate: the share of strangers that may be accepted; None: never unknown.
    head: how a class is scored: "auto", "mean", "subprototypes" or "lda" (`runtime/heads.py`).
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
        reembed: bool = False,
    ) -> None:
        self.bundle = bundle
        self._preprocess = bundle.preprocess
        scale = typical_distance(bundle)
        self._prior = None if stranger_rate is None else Prior(bundle.calibration, stranger_rate, scale)
        self._heads = HeadChooser(head, bundle.dim, scale, bundle.background())
        self.bank = Bank(bundle.dim)
        self._building = threading.Lock()
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
        self._matcher = Matcher(Prototypes(bundle.metric, bundle.dim), None, None)
        self._seen: tuple[object, int] = (None, 0)

    @property
    def labels(self) -> list[str]:
        """The classes taught so far, in the order they were first shown."""
        return list(self.gallery.classes)

    def classes(self) -> list[ClassSummary]:
        """How well each class is known, in the order they were first shown."""
        matcher = self._up_to_date()
        return [self._summary(matcher, row, proto) for row, proto in enumerate(matcher.prototypes.classes)]

    def embed(self, frames: Frames) -> NDArray[np.float32]:
        """Embed frames (`uint8` BGR or grey; one, a 4-d array, any iterable): `float32 [N, D]`. Raises FrameError."""
        parts = [self._embed_inputs(self._preprocess.batch(some)) for some in chunks(frames, CHUNK)]
        return np.concatenate(parts) if parts else np.zeros((0, self.bundle.dim), np.float32)

    def observe(self, frames: Frames) -> list[Observation]:
        """Embedding, crop and quality of each frame; only these stay in memory, however many frames there are."""
        inputs, seen = [], []
        for frame in as_frames(frames):
            inputs.append(self._preprocess(frame))
            seen.append((crop_of(frame), measure(frame)))
        parts = [self._embed_inputs(np.stack(inputs[i : i + CHUNK])) for i in range(0, len(inputs), CHUNK)]
        embeddings = [embedding for part in parts for embedding in part]
        return [Observation(z, crop, quality) for z, (crop, quality) in zip(embeddings, seen, strict=True)]

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
        known = self.gallery.classes.get(label)
        taken = known.embeddings if known else np.zeros((0, self.bundle.dim), np.float32)
        kept, rejected, qualities = choose(observations, taken)
        shots = new_shots([observations[i] for i in kept], qualities, source=source, now_s=time.time())
        ids = self.gallery.add(label, shots) if shots else []
        accepted = tuple(AcceptedFrame(i, shot_id) for i, shot_id in zip(kept, ids, strict=True))
        return Enrollment(
            label, accepted, tuple(rejected), tuple(advice(len(taken) + len(accepted), accepted, rejected))
        )

    def name_stranger(self, inbox: Inbox, id_: int, label: str) -> Enrollment:
        """Teach a class from the views an inbox kept of a stranger, who then leaves it. Raises UnknownLabel."""
        enrollment = self.enroll_observed(label, inbox.views(id_), source="inbox")
        inbox.dismiss(id_)
        return enrollment

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

    def match(self, embedding: ArrayLike) -> Recognition:
        """Score a stored embedding, `float32 [D]`, as if its frame came now. Raises InvalidShot."""
        now = time.perf_counter()
        return self._match(checked_embedding(embedding, self.bundle.dim), now, now, now)

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
        (shot_id,) = self.gallery.add(
            label, new_shots([seen], [1.0], source="reject", now_s=time.time()), negative=True
        )
        return shot_id

    def preview_reject(self, what: NDArray[Any], label: str, ring: Ring) -> RejectPreview:
        """Which recent answers a `reject` would change, before it is done.

        what: a frame, `uint8`, or the embedding `float32 [D]` of an answer.  Raises UnknownLabel, FrameError.
        """
        self.gallery.records(label)  # raises UnknownLabel
        negative = self.embed(what)[0] if what.dtype == np.uint8 else checked_embedding(what, self.bundle.dim)
        matcher = self._up_to_date()
        row = [proto.shots.label for proto in matcher.prototypes.classes].index(clean_label(label))
        return preview_reject(matcher, self._prior, self.bank.samples(), row, negative, ring.answers())

    def watch_strangers(self, frames: Frames) -> int:
        """Learn from frames in which nothing taught is in view what strangers look like here; returns how many."""
        embeddings = self.embed(frames)
        self.bank.tell(embeddings)
        return len(embeddings)

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
        """The gallery as it is now, ready to be matched; built when the first frame after a change asks for it."""
        if self._seen[0] is self.gallery.classes and self._seen[1] == self.bank.version:
            return self._matcher
        with self._building:  # else a slower thread could put an older view in place
            classes, version = self.gallery.classes, self.bank.version
            if self._seen[0] is not classes or self._seen[1] != version:
                prototypes = self._matcher.prototypes.update(classes)
                head = self._heads.head(prototypes) if classes else None
                demands = None
                if head and self._prior:
                    demands = acceptance(self._prior, prototypes, head, self.bank.samples())
                self._matcher = Matcher(prototypes, head, demands)
                self._seen = classes, version
            return self._matcher

    def _embed_inputs(self, inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
        embeddings = np.asarray(self.engine.embed(inputs), np.float32)
        if embeddings.shape != (len(inputs), self.bundle.dim) or not np.isfinite(embeddings).all():
            raise EngineError(
                f"{self.engine.info.name} must answer finite float32 [{len(inputs)}, {self.bundle.dim}], but gave "
                f"{embeddings.shape} with {int((~np.isfinite(embeddings)).sum())} NaN or infinite; run bundle.verify()"
            )
        return embeddings

    def _match(self, embedding: NDArray[np.float32], start: float, prepared: float, embedded: float) -> Recognition:
        matcher = self._up_to_date()
        match = matcher.decide(embedding)
        done = time.perf_counter()
        timings = {
            "preprocess": (prepared - start) * 1e3,
            "embed": (embedded - prepared) * 1e3,
            "match": (done - embedded) * 1e3,
            "total": (done - start) * 1e3,
        }
        return _recognition(match, matcher.prototypes.classes, timings, embedding)

    def _summary(self, matcher: Matcher, row: int, proto: Prototype) -> ClassSummary:
        shots, demands = proto.shots, matcher.acceptance
        promise, needed, views = "nothing: a closed set accepts every stranger", 0, float(len(shots.ids))
        if self._prior and demands:
            rate = f"{100 * self._prior.stranger_rate:g} %"
            needed, views = demands.views_needed(row, self._prior.stranger_rate), demands.views[row]
            promise = f"{needed} more views of other things for {rate}" if needed else f"≤ {rate} of strangers"
        return ClassSummary(
            label=shots.label,
            n_shots=len(shots.ids),
            n_views=views,
            n_bursts=len(set(shots.bursts)),
            n_negatives=len(shots.negatives),
            head=matcher.head.name if matcher.head else "mean",
            promise=promise,
            views_needed=needed,
            set_aside=proto.set_aside,
        )


def typical_distance(bundle: Bundle) -> float:
    """How far apart unlike frames are, root mean square: what a temperature is measured in; 1 for cosines."""
    if bundle.metric == "cosine":
        return 1.0
    return max(float(np.sqrt(2 * bundle.golden()[1].var(axis=0).sum())), 1e-6)


def _recognition(
    match: Match, classes: Sequence[Prototype], timings: dict[str, float], embedding: NDArray[np.float32]
) -> Recognition:
    embedding = embedding.view()
    embedding.setflags(write=False)
    if match is EMPTY:
        return Recognition(
            None, None, match.score, match.threshold, None, match.margin, match.check, (), timings, embedding
        )
    shots = classes[match.row].shots
    return Recognition(
        label=shots.label if match.check == ACCEPTED else None,
        candidate=shots.label,
        score=match.score,
        threshold=match.threshold,
        runner_up=classes[match.runner_up].shots.label if match.runner_up >= 0 else None,
        margin=match.margin,
        check=match.check,
        nearest=tuple(NearestShot(int(shots.ids[i]), score) for i, score in match.nearest),
        timings_ms=timings,
        embedding=embedding,
    )

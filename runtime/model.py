"""Everything that depends on the bundle: its engine, how frames are prepared, and the gallery as this bundle sees it.

A Recognizer holds exactly one and replaces it as a whole when the model is swapped, so no frame is ever embedded by one
bundle and matched by another.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import Bundle
from runtime.engines import Engine, open_engine
from runtime.errors import EngineError, InvalidShot
from runtime.explain import preview_reject
from runtime.gallery import Gallery
from runtime.gallery.unknown_frames import Bank
from runtime.matching.calibration import Prior
from runtime.matching.gallery_matcher import Matchers
from runtime.matching.matcher import Matcher
from runtime.opencv import decode_image
from runtime.preprocess import Frames, as_frames, chunks
from runtime.recognition import RejectPreview
from runtime.stream.recent_answers import RecentAnswer
from runtime.teaching.enrolling import Observation, crop_of
from runtime.teaching.quality import measure

CHUNK = 16  # frames per engine call: more gains little on a CPU and costs memory


class Model:
    """A bundle at work. stranger_rate, head: see Recognizer."""

    def __init__(self, bundle: Bundle, engine: Engine, *, stranger_rate: float | None, head: str) -> None:
        scale = typical_distance(bundle)
        self.bundle, self.engine, self.preprocess = bundle, engine, bundle.preprocess
        self.prior = None if stranger_rate is None else Prior(bundle.calibration, stranger_rate, scale)
        self._matchers = Matchers(
            *(bundle.metric, bundle.dim, bundle.background()), prior=self.prior, choice=head, scale=scale
        )
        self._matcher = self._matchers.matcher({})
        self._seen: tuple[object, ...] = ()
        self._building = threading.RLock()

    def embed(self, frames: Frames) -> NDArray[np.float32]:
        """Embed frames: `float32 [N, D]`. Raises FrameError, EngineError."""
        parts = [self.embed_inputs(self.preprocess.batch(some)) for some in chunks(frames, CHUNK)]
        return np.concatenate(parts) if parts else np.zeros((0, self.bundle.dim), np.float32)

    def embed_inputs(self, inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed prepared frames `uint8 [N, H, W, C]`: `float32 [N, D]`. Raises EngineError for a wrong answer."""
        embeddings = np.asarray(self.engine.embed(inputs), np.float32)
        finite = math.isfinite(np.vdot(embeddings, embeddings)) or np.isfinite(embeddings).all()  # the quick way first
        if embeddings.shape != (len(inputs), self.bundle.dim) or not finite:
            raise EngineError(
                f"{self.engine.info.name} must answer finite float32 [{len(inputs)}, {self.bundle.dim}], but gave "
                f"{embeddings.shape} with {int((~np.isfinite(embeddings)).sum())} NaN or infinite; run bundle.verify()"
            )
        return embeddings

    def observe(self, frames: Frames, *, keep_crops: bool) -> list[Observation]:
        """Embedding, crop and quality of each frame; only these stay in memory, however many frames there are."""
        inputs, seen = [], []
        for frame in as_frames(frames):
            inputs.append(self.preprocess(frame))
            seen.append((crop_of(frame) if keep_crops else None, measure(frame)))
        parts = [self.embed_inputs(np.stack(inputs[i : i + CHUNK])) for i in range(0, len(inputs), CHUNK)]
        embeddings = [embedding for part in parts for embedding in part]
        model = self.bundle.fingerprint
        return [Observation(z, crop, quality, model) for z, (crop, quality) in zip(embeddings, seen, strict=True)]

    def as_seen_now(self, seen: Observation) -> Observation:
        """An observation that another model made, made anew from its crop. Raises InvalidShot without one."""
        if seen.model in ("", self.bundle.fingerprint):
            return seen
        if seen.crop is None:
            raise InvalidShot("A frame seen by another model must have a crop to be embedded again. Show it again.")
        embedding = self.embed(decode_image(seen.crop, "the crop of a frame"))[0]
        return Observation(embedding, seen.crop, seen.quality, self.bundle.fingerprint)

    def matcher(self, gallery: Gallery, bank: Bank) -> Matcher:
        """The gallery as it is now, ready to be matched; brought up to date by the first frame after a change."""
        seen = gallery.classes, bank, bank.version
        if self._seen and self._seen[0] is seen[0] and self._seen[1:] == seen[1:]:
            return self._matcher
        with self._building:  # else a slower thread could put an older view in place
            seen = gallery.classes, bank, bank.version
            if gallery.fingerprint == self.bundle.fingerprint and self._seen != seen:
                self._matcher = self._matchers.matcher(gallery.classes, bank.samples())
                self._seen = seen
            return self._matcher

    def preview_reject(
        self, gallery: Gallery, bank: Bank, label: str, negative: NDArray[np.float32], answers: Sequence[RecentAnswer]
    ) -> RejectPreview:
        """What a rejected frame `float32 [D]` would change among these answers."""
        with self._building:
            now = self.matcher(gallery, bank)
            row = [proto.shots.label for proto in now.prototypes.classes].index(label)
            after = self._matchers.rejecting(row, negative, bank.samples())
        return preview_reject(now, after, row, negative, answers)


def open_model(
    opened: ExitStack,
    bundle: Bundle,
    engine: str | Engine,
    threads: int | None,
    precision: str | None,
    *,
    stranger_rate: float | None,
    head: str,
) -> Model:
    """A model on an engine, which `opened` closes unless it was opened before. Raises EngineMissing, EngineError."""
    at_work = open_engine(bundle, engine, precision=precision, threads=threads)
    if isinstance(engine, str):
        opened.callback(at_work.close)
    return Model(bundle, at_work, stranger_rate=stranger_rate, head=head)


def typical_distance(bundle: Bundle) -> float:
    """How far apart unlike frames are, root mean square: what a temperature is measured in; 1 for cosines."""
    if bundle.metric == "cosine":
        return 1.0
    return max(float(np.sqrt(2 * bundle.golden()[1].var(axis=0).sum())), 1e-6)

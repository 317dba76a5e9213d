"""What depends on the bundle: its engine, the preprocessing of frames, and the gallery as this bundle sees it.

A Recognizer holds exactly one Model and replaces it as a whole when the bundle is swapped, so no frame is ever embedded
by one bundle and matched by another.
"""

from __future__ import annotations

import math
import threading
from contextlib import ExitStack

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import Bundle
from runtime.bundle.onnx_cost import MAX_BATCH
from runtime.engines import Engine, open_engine
from runtime.errors import EngineError, InvalidShot
from runtime.gallery import Gallery
from runtime.matching.acceptance import Acceptance
from runtime.matching.matcher import Matcher
from runtime.matching.prototypes import Prototypes
from runtime.opencv import decode_image
from runtime.preprocess import Frames, as_frames, chunks
from runtime.teaching.enrolling import Observation, crop_of
from runtime.teaching.quality import measure

CHUNK = MAX_BATCH  # frames per engine call; larger batches gain little on a CPU and cost memory


class Model:
    """A bundle, its engine, and the gallery as both see it.

    Args:
        bundle: The bundle.
        engine: An engine opened on it.
        stranger_rate: The share of strangers that may be accepted, 0..1; None for a closed set.

    Raises:
        OptionError: The rate is outside 0..1.
    """

    def __init__(self, bundle: Bundle, engine: Engine, stranger_rate: float | None) -> None:
        self.bundle, self.engine, self.preprocess = bundle, engine, bundle.preprocess
        self._acceptance = Acceptance(bundle.calibration, bundle.cohort(), bundle.metric, stranger_rate)
        self._matcher = Matcher(Prototypes(bundle.metric, bundle.dim), None)
        self._seen: tuple[object, object] = None, None
        self._building = threading.RLock()

    @property
    def stranger_rate(self) -> float | None:
        """The asked share of strangers; None for a closed set."""
        return self._acceptance.rate

    @stranger_rate.setter
    def stranger_rate(self, rate: float | None) -> None:
        with self._building:
            self._acceptance = self._acceptance.at(rate)
            self._seen = None, None

    def embed(self, frames: Frames) -> NDArray[np.float32]:
        """Embed frames: `float32 [N, D]`. Raises FrameError, EngineError."""
        parts = [self.embed_inputs(self.preprocess.batch(some)) for some in chunks(frames, CHUNK)]
        return np.concatenate(parts) if parts else np.zeros((0, self.bundle.dim), np.float32)

    def embed_inputs(self, inputs: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed prepared frames `uint8 [N, H, W, C]`: `float32 [N, D]`. Raises EngineError for a wrong result."""
        embeddings = np.asarray(self.engine.embed(inputs), np.float32)
        finite = math.isfinite(np.vdot(embeddings, embeddings)) or np.isfinite(embeddings).all()  # the fast test first
        if embeddings.shape != (len(inputs), self.bundle.dim) or not finite:
            raise EngineError(
                f"{self.engine.info.name} must return finite float32 [{len(inputs)}, {self.bundle.dim}], but returned "
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
        """An observation that another model made, made again from its crop. Raises InvalidShot without one."""
        if seen.model in ("", self.bundle.fingerprint):
            return seen
        if seen.crop is None:
            raise InvalidShot("A frame seen by another model must have a crop to be embedded again. Show it again.")
        embedding = self.embed(decode_image(seen.crop, "the crop of a frame"))[0]
        return Observation(embedding, seen.crop, seen.quality, self.bundle.fingerprint)

    def matcher(self, gallery: Gallery) -> Matcher:
        """The gallery as it is now, ready to be matched; brought up to date by the first frame after a change."""
        if self._is_current(gallery):
            return self._matcher
        with self._building:  # a slower thread must not put an older view in place
            classes, unknown = gallery.classes, gallery.unknown_frames
            if gallery.fingerprint == self.bundle.fingerprint and not self._is_current(gallery):
                prototypes = self._matcher.prototypes.update(classes)
                self._matcher = Matcher(prototypes, self._acceptance.thresholds(prototypes, unknown))
                self._seen = classes, unknown
            return self._matcher

    def _is_current(self, gallery: Gallery) -> bool:
        return self._seen[0] is gallery.classes and self._seen[1] is gallery.unknown_frames

    def at_rate(self, gallery: Gallery, rate: float | None) -> Matcher:
        """The gallery as another stranger rate would match it."""
        prototypes = self.matcher(gallery).prototypes
        return Matcher(prototypes, self._acceptance.at(rate).thresholds(prototypes, gallery.unknown_frames))


def open_model(
    opened: ExitStack,
    bundle: Bundle,
    engine: str | Engine,
    threads: int | None,
    precision: str | None,
    device: str | None,
    stranger_rate: float | None,
) -> Model:
    """A model on an engine, which `opened` closes unless it was opened before. Raises EngineMissing, EngineError."""
    running = open_engine(bundle, engine, precision=precision, threads=threads, device=device)
    if isinstance(engine, str):
        opened.callback(running.close)
    return Model(bundle, running, stranger_rate)

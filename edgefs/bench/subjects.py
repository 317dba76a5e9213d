"""What is measured: one recognizer for each engine and precision, all open at once, with the same frames."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefs.bench.library import Call, library_call
from edgefs.errors import BenchError
from runtime.bundle import Bundle
from runtime.engines import ENGINES, engine_spec, open_engine
from runtime.engines.base import Engine, EngineInfo
from runtime.errors import EngineError
from runtime.gallery import NewShot
from runtime.recognizer import Recognizer

FRAME = (720, 1280, 3)
N_FRAMES = 4  # as many as a camera driver has buffers, so that no frame is in the caches from the previous call
N_CLASSES, N_SHOTS = 10, 5


@dataclass(frozen=True)
class Subject:
    """One engine at one precision.

    Attributes:
        frames: `uint8 [720, 1280, 3]` each, for `recognize`.
        inputs: The same frames prepared for the bare engine, `uint8 [N_FRAMES, 1, h, w, C]`.
        library: The same inference by the engine's library without our code (library.py); None where unknown.
    """

    engine: str
    precision: str
    recognizer: Recognizer
    frames: Sequence[NDArray[np.uint8]]
    inputs: NDArray[np.uint8]
    library: Call | None

    @property
    def info(self) -> EngineInfo:
        return self.recognizer.engine.info

    def batch(self, n: int) -> list[NDArray[np.uint8]]:
        """The frames, repeated until there are n."""
        return [self.frames[i % len(self.frames)] for i in range(n)]


@dataclass(frozen=True)
class Skipped:
    """An engine and precision that could not be opened, and the reason."""

    engine: str
    precision: str
    why: str


def make_frames(seed: int = 0) -> list[NDArray[np.uint8]]:
    """Random 720p frames. The time of every step of `recognize` is independent of the picture's content."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, FRAME, np.uint8) for _ in range(N_FRAMES)]


def make_picture() -> NDArray[np.uint8]:
    """A 720p frame that compresses as a photograph does: shapes, shading and some sensor noise."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (9, 16, 3)).repeat(80, axis=0).repeat(80, axis=1)
    return np.clip(coarse + rng.normal(0, 4, coarse.shape), 0, 255).astype(np.uint8)


@contextmanager
def open_subjects(
    bundle: Bundle, engines: Sequence[str], precisions: Sequence[str], threads: int | None, device: str | None = None
) -> Iterator[tuple[list[Subject], list[Skipped]]]:
    """Open every requested engine at every requested precision; "all" stands for everything that is available.

    Raises:
        BenchError: No engine can be opened.
    """
    frames = make_frames()
    inputs = np.stack([bundle.preprocess.batch([frame]) for frame in frames])
    subjects: list[Subject] = []
    skipped: list[Skipped] = []
    try:
        for name, precision in _pairs(bundle, engines, precisions, device):
            try:
                engine = open_engine(bundle, name, precision=precision, threads=threads, device=device)
            except EngineError as error:  # not installed, or no plan for this machine
                skipped.append(Skipped(name, precision, str(error)))
                continue
            library = library_call(bundle, engine.info, inputs)
            subjects.append(Subject(name, precision, taught(bundle, engine), frames, inputs, library))
        if not subjects:
            reasons = " ".join(each.why for each in skipped)
            raise BenchError(
                f"there must be an engine to measure, but none of those asked for opens {bundle.name}. {reasons}"
            )
        yield subjects, skipped
    finally:
        for subject in subjects:
            subject.recognizer.engine.close()
            subject.recognizer.close()


def _pairs(
    bundle: Bundle, engines: Sequence[str], precisions: Sequence[str], device: str | None
) -> Iterator[tuple[str, str]]:
    for name in ENGINES if "all" in engines else engines:
        if name not in ENGINES:
            raise BenchError(f"--engines must be all or some of {', '.join(ENGINES)}, but got {name!r}")
        spec = engine_spec(name)
        if "all" in engines and not (spec.installed() and (device is None or spec.devices)):
            continue
        have = dict.fromkeys(artifact.precision for artifact in bundle.artifacts if artifact.target in spec.targets)
        for precision in have if "all" in precisions else precisions:
            yield name, precision


def taught(bundle: Bundle, engine: Engine) -> Recognizer:
    """A recognizer with N_CLASSES random classes on an opened engine; closing it leaves the engine open."""
    recognizer = Recognizer(bundle, engine=engine)
    teach(recognizer, N_CLASSES, N_SHOTS)
    return recognizer


def teach(recognizer: Recognizer, n_classes: int, n_shots: int) -> None:
    """Add classes of random unit vectors."""
    rng = np.random.default_rng(0)
    for c in range(n_classes):
        recognizer.gallery.add(f"class {c}", random_shots(recognizer.bundle.dim, n_shots, rng))
    recognizer.gallery.refresh()


def random_shots(dim: int, n: int, rng: np.random.Generator) -> list[NewShot]:
    """n shots whose embeddings are random unit vectors."""
    shots = rng.standard_normal((n, dim)).astype(np.float32)
    shots /= np.linalg.norm(shots, axis=1, keepdims=True)
    return [NewShot(shot, None, "bench", 1.0, "bench", time.time()) for shot in shots]

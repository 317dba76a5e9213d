"""What is measured: one recogniser for each engine and precision, all open at once, on the same frames and classes."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgefs.bench.library import Call, library_call
from edgefs.errors import BenchError
from runtime.bundle import Bundle
from runtime.engines import ENGINES, open_engine
from runtime.engines.base import Engine, EngineInfo
from runtime.errors import EngineError, EngineMissing
from runtime.gallery import NewShot
from runtime.recognizer import Recognizer

FRAME = (720, 1280, 3)
N_FRAMES = 4  # as many as a camera driver has buffers: a frame is never in the caches that the last one left warm
N_CLASSES, N_SHOTS = 10, 5


@dataclass(frozen=True)
class Subject:
    """One engine at one precision.  inputs: `uint8 [N_FRAMES, 1, h, w, C]`, the frames prepared for the bare engine.

    library: the engine's library without us, see library.py; None where it is not known.
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


@dataclass(frozen=True)
class Skipped:
    engine: str
    precision: str
    why: str


def make_frames(seed: int = 0) -> list[NDArray[np.uint8]]:
    """Random 720p frames: no step of `recognize` takes a time that depends on what is in the picture."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, FRAME, np.uint8) for _ in range(N_FRAMES)]


def make_picture() -> NDArray[np.uint8]:
    """A 720p frame that compresses as a photograph does: shapes, shading and some sensor noise."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (9, 16, 3)).repeat(80, axis=0).repeat(80, axis=1)
    return np.clip(coarse + rng.normal(0, 4, coarse.shape), 0, 255).astype(np.uint8)


@contextmanager
def open_subjects(
    bundle: Bundle, engines: Sequence[str], precisions: Sequence[str], threads: int | None
) -> Iterator[tuple[list[Subject], list[Skipped]]]:
    """Open every engine asked for at every precision asked for; "all" is whatever there is.

    Raises BenchError when nothing can be opened.
    """
    frames = make_frames()
    inputs = np.stack([bundle.preprocess.batch([frame]) for frame in frames])
    subjects: list[Subject] = []
    skipped: list[Skipped] = []
    try:
        for name, precision in _pairs(bundle, engines, precisions):
            try:
                engine = open_engine(bundle, name, precision=precision, threads=threads)
            except EngineError as error:  # not installed, no plan for this machine, refused
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


def _pairs(bundle: Bundle, engines: Sequence[str], precisions: Sequence[str]) -> Iterator[tuple[str, str]]:
    for name in ENGINES if "all" in engines else engines:
        if name not in ENGINES:
            raise BenchError(f"--engines must be all or some of {', '.join(ENGINES)}, but got {name!r}")
        module = importlib.import_module(ENGINES[name][0])
        if "all" in engines and not _installed(module):
            continue
        have = dict.fromkeys(artifact.precision for artifact in bundle.artifacts if artifact.target in module.TARGETS)
        for precision in have if "all" in precisions else precisions:
            yield name, precision


def _installed(module: object) -> bool:
    try:
        module.version()  # type: ignore[attr-defined]
    except EngineMissing:
        return False
    return True


def taught(bundle: Bundle, engine: Engine, n_classes: int = N_CLASSES, n_shots: int = N_SHOTS) -> Recognizer:
    """A recogniser on this engine that was taught classes of random unit vectors; closing it leaves the engine open."""
    recognizer = Recognizer(bundle, engine=engine)
    teach(recognizer, n_classes, n_shots)
    return recognizer


def teach(recognizer: Recognizer, n_classes: int, n_shots: int, seed: int = 0) -> None:
    """Add classes of random unit vectors."""
    rng, dim = np.random.default_rng(seed), recognizer.bundle.dim
    for c in range(n_classes):
        shots = rng.standard_normal((n_shots, dim)).astype(np.float32)
        shots /= np.linalg.norm(shots, axis=1, keepdims=True)
        new = [NewShot(shot, None, "bench", 1.0, "bench", time.time()) for shot in shots]
        recognizer.gallery.add(f"class {seed} {c}", new)
    recognizer.refresh()

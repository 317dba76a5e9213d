"""Engines behind one Protocol. `open_engine` opens, verifies on the golden frames, and says why it chose.

A new engine is one file with `TARGETS`, `version()` and a class, and one line in ENGINES.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import Artifact, Bundle
from runtime.engines.base import Engine, EngineInfo, cpus
from runtime.engines.choices import Choice, remember, remembered
from runtime.errors import EngineError, EngineMissing, OptionError, PlanMismatch

__all__ = ["ENGINES", "Engine", "EngineInfo", "agreement", "open_engine", "verify_engines"]

ENGINES = {
    "onnxruntime": ("runtime.engines.onnxruntime", "OnnxRuntimeEngine"),
    "openvino": ("runtime.engines.openvino", "OpenVinoEngine"),
    "tensorrt": ("runtime.engines.tensorrt", "TensorRtEngine"),
    "tensorrt-rtx": ("runtime.engines.tensorrt_rtx", "TensorRtRtxEngine"),
    "onnxruntime-gpu": ("runtime.engines.onnxruntime_gpu", "OnnxRuntimeGpuEngine"),
}
# in order of what opening costs; onnxruntime-gpu may build for minutes: only by name
AUTO = ("onnxruntime", "openvino", "tensorrt", "tensorrt-rtx")
NEARLY = "nearly the fastest verified here, and sooner open"
MUST_PAY = 0.9  # of the time of one that opens sooner: less of a gain is not worth the longer start, and may be noise
MAX_THREADS = 2  # small networks at batch 1 gain little beyond two threads and take the camera's cores


def open_engine(
    bundle: Bundle, engine: str | Engine = "auto", *, precision: str | None = None, threads: int | None = None
) -> Engine:
    """Open an engine on a bundle and verify it on the golden frames.

    engine: "auto" (the fastest that verifies here, or one nearly as fast that opens sooner; remembered from then on,
        see choices.py), a name of ENGINES, or an opened engine, which is returned as it is.
    precision: of the artefact, default fp32.
    threads: of one call; default what `edgefs doctor --tune` measured, else the CPUs this process may use, at most two.
    Raises EngineMissing (not installed), EngineError (refused, or the golden frames do not come out) or OptionError.
    """
    if not isinstance(engine, str):
        if not hasattr(engine, "embed"):
            raise OptionError(f"engine must be a name or an opened engine, but got {type(engine).__name__}")
        return engine
    if threads is not None and threads < 1:
        raise OptionError(f"threads must be 1 or more, or None for at most {MAX_THREADS}, but got {threads}")
    precision = precision or "fp32"
    if engine == "auto":
        return _open_remembered(bundle, precision, threads) or _open_fastest(bundle, precision, threads)
    if engine not in ENGINES:
        raise OptionError(f"engine must be one of auto, {', '.join(ENGINES)}, but got {engine!r}")
    opened = _open(bundle, engine, precision, threads or _default_threads())
    opened.info = replace(opened.info, reason="asked for by name")
    return opened


def verify_engines(bundle: Bundle) -> list[EngineInfo]:
    """Open every installed engine on every artefact it can run, check the golden frames, close it; return the infos."""
    infos, missing = [], []
    for name in AUTO:
        module = importlib.import_module(ENGINES[name][0])
        try:
            module.version()
        except EngineMissing as error:
            missing.append(str(error))
            continue
        for artifact in bundle.artifacts:
            if artifact.target in module.TARGETS:
                try:
                    engine = _open_artifact(bundle, name, artifact, threads=1)
                except PlanMismatch:  # sound, but built for another machine
                    continue
                infos.append(engine.info)
                engine.close()
    if not infos:
        raise EngineMissing("the golden frames need an engine, but none is installed. " + " ".join(missing))
    return infos


def agreement(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """Row-wise agreement of `float [N, D]` embeddings, at most 1: their cosine when norms are equal, less when not."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    norms = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    return np.asarray(1 - ((x - y) ** 2).sum(axis=1) / (2 * np.maximum(norms, 1e-30)), np.float64)


def _open(bundle: Bundle, name: str, precision: str, threads: int) -> Engine:
    targets = importlib.import_module(ENGINES[name][0]).TARGETS
    fitting = _fitting(bundle, name, precision)
    if not fitting:
        raise _no_artifact(bundle, precision, name)
    return _open_artifact(bundle, name, min(fitting, key=lambda a: targets.index(a.target)), threads)


def _no_artifact(bundle: Bundle, precision: str, name: str) -> EngineError:
    have = ", ".join(f"{a.target} {a.precision}" for a in bundle.artifacts)
    return EngineError(f"{bundle.where} must hold a {precision} artefact for {name}, but has {have}; export it")


def _fitting(bundle: Bundle, name: str, precision: str) -> list[Artifact]:
    targets = importlib.import_module(ENGINES[name][0]).TARGETS
    return [a for a in bundle.artifacts if a.target in targets and a.precision == precision]


def _open_artifact(bundle: Bundle, name: str, artifact: Artifact, threads: int) -> Engine:
    module_name, class_name = ENGINES[name]
    engine: Any = getattr(importlib.import_module(module_name), class_name)(bundle, artifact, threads)
    try:
        frames, expected = bundle.golden()
        # one by one: the live case; a cosine over NaN is NaN and fails the comparison as it must
        got = np.concatenate([engine.embed(frame[None]) for frame in frames])
        worst = float(agreement(got, expected).min()) if got.shape == expected.shape else float("nan")
        if not worst >= artifact.min_cosine:
            raise EngineError(
                f"{name} {engine.info.version} must reproduce the golden frames of {bundle.where} ({artifact.file}) "
                f"with cosine ≥ {artifact.min_cosine}, but the worst is {worst:.4f}; use another engine or export again"
            )
    except BaseException:
        engine.close()
        raise
    engine.info = replace(engine.info, golden_cosine=worst)
    return engine  # type: ignore[no-any-return]


def _default_threads() -> int:
    return min(MAX_THREADS, cpus())


def _open_remembered(bundle: Bundle, precision: str, threads: int | None) -> Engine | None:
    choice = remembered(bundle, precision, threads)
    if choice is None or choice.engine not in AUTO:
        return None
    try:
        engine = _open(bundle, choice.engine, precision, threads or choice.threads or _default_threads())
    except EngineError:  # uninstalled, or the bundle changed: find out again
        return None
    if engine.info.version != choice.version:
        engine.close()
        return None
    engine.info = replace(engine.info, reason=f"remembered: {choice.reason}")
    return engine


def _open_fastest(bundle: Bundle, precision: str, threads: int | None) -> Engine:
    opened: list[tuple[float, Engine]] = []
    notes = []
    names = [name for name in AUTO if _fitting(bundle, name, precision)]
    if not names:
        raise _no_artifact(bundle, precision, "any engine")
    for name in names:
        try:
            engine = _open(bundle, name, precision, threads or _default_threads())
        except EngineError as error:
            notes.append(str(error))
            continue
        opened.append((_milliseconds(engine, bundle), engine))
    if not opened:
        raise EngineMissing(f"no engine can run {bundle.where}: " + " ".join(notes))
    best = choose(opened)
    for _, engine in opened:
        if engine is not best:
            engine.close()
    timed = ", ".join(f"{engine.info.name} {ms:.2f} ms" for ms, engine in opened)
    words = "fastest verified here" if best is min(opened, key=itemgetter(0))[1] else NEARLY
    reason = f"{words if len(opened) > 1 else 'the only one that verified'}: {timed}"
    best.info = replace(best.info, reason="; ".join([reason, *notes]))
    if len(opened) == len(names):  # one that is missing today may be installed tomorrow
        remember(bundle, precision, Choice(best.info.name, best.info.version, None, reason), threads)
    return best


def choose(opened: Sequence[tuple[float, Engine]]) -> Engine:
    """The fastest of (ms, engine), in the order of AUTO; one that opens later must pay for it."""
    best_ms, best = opened[0]
    for ms, engine in opened[1:]:
        if ms < MUST_PAY * best_ms:
            best_ms, best = ms, engine
    return best


def _milliseconds(engine: Engine, bundle: Bundle) -> float:
    """The best of a few single-frame calls: the minimum is what a busy machine disturbs least."""
    frame = bundle.golden()[0][:1]
    times = []
    for _ in range(8):
        start = time.perf_counter()
        engine.embed(frame)
        times.append(time.perf_counter() - start)
    return min(times) * 1e3

"""Open an engine on a bundle: choose it, check it on the golden frames, and remember the choice."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from operator import itemgetter

import numpy as np

from runtime.bundle import Artifact, Bundle
from runtime.engines.base import Engine, EngineInfo, agreement, cpus
from runtime.engines.choices import Choice, remember, remembered
from runtime.engines.registry import ENGINES, auto_engines, device_engine, engine_spec
from runtime.errors import EngineError, EngineMissing, OptionError, PlanMismatch

# An engine that opens later is chosen only if it takes less than this share of the time of one that opens sooner:
# a smaller gain is not worth the longer start, and may be noise.
MAX_TIME_RATIO = 0.9
MAX_THREADS = 2  # small networks at batch 1 gain little beyond two threads and take the camera's cores
TIMED_CALLS = 8


def open_engine(
    bundle: Bundle,
    engine: str | Engine = "auto",
    *,
    precision: str | None = None,
    threads: int | None = None,
    device: str | None = None,
) -> Engine:
    """Open an engine on a bundle and check that it reproduces the golden frames.

    Args:
        bundle: The bundle to run.
        engine: A name of ENGINES; or "auto" for the fastest engine that passes the check here, or one nearly as fast
            that opens sooner (the choice is remembered, see `choices.py`); or an opened engine, which is returned; or
            "kserve://host:port/model" or "kserve+grpc://host:port/model" for a model server, with the "auto" engine
            for the frames that the server does not answer in time.
        precision: Precision of the artifact; None means "fp32".
        threads: CPU threads of one call. None means what `edgefs doctor --tune` measured, or else the number of CPUs
            this process may use, but at most 2.
        device: The device that OpenVINO runs on: "CPU", "GPU", "GPU.1", "NPU", or "AUTO" for the one that OpenVINO
            chooses. "auto" is OpenVINO then. None means the default of the engine; for OpenVINO this is the CPU.

    Raises:
        EngineMissing: The library is not installed.
        EngineError: The engine refused the model, has no such device, or does not reproduce the golden frames.
        OptionError: An argument is outside its range.
    """
    if not isinstance(engine, str):
        if not hasattr(engine, "embed"):
            raise OptionError(f"engine must be a name or an opened engine, but got {type(engine).__name__}")
        return engine
    if threads is not None and threads < 1:
        raise OptionError(f"threads must be 1 or more, or None for at most {MAX_THREADS}, but got {threads}")
    if "://" in engine:
        from runtime.engines.kserve import address_of, open_served  # here, because few devices have a server

        address = address_of(engine)
        return open_served(bundle, address, open_engine(bundle, precision=precision, threads=threads, device=device))
    precision = precision or "fp32"
    if device is not None:
        engine = device_engine(engine)
    if engine == "auto":
        return _open_remembered(bundle, precision, threads) or _open_fastest(bundle, precision, threads)
    opened = _open(bundle, engine, precision, threads or _default_threads(), device)
    opened.info = replace(opened.info, reason="asked for by name")
    return opened


def verify_engines(bundle: Bundle) -> list[EngineInfo]:
    """Check the golden frames with every installed engine on every artifact it can run.

    Raises:
        EngineMissing: No engine is installed.
        EngineError: An engine refused an artifact or does not reproduce the golden frames.
    """
    infos, missing = [], []
    for name in auto_engines():
        spec = engine_spec(name)
        try:
            spec.version()
        except EngineMissing as error:
            missing.append(str(error))
            continue
        for artifact in bundle.artifacts:
            if artifact.target in spec.targets:
                try:
                    engine = _open_artifact(bundle, name, artifact, threads=1)
                except PlanMismatch:  # the plan is sound, but was built for another machine
                    continue
                infos.append(engine.info)
                engine.close()
    if not infos:
        raise EngineMissing("the golden frames need an engine, but none is installed. " + " ".join(missing))
    return infos


def choose(opened: Sequence[tuple[float, Engine]]) -> Engine:
    """Return the fastest of (milliseconds, engine), given in order of opening time; see MAX_TIME_RATIO."""
    best_ms, best = opened[0]
    for ms, engine in opened[1:]:
        if ms < MAX_TIME_RATIO * best_ms:
            best_ms, best = ms, engine
    return best


def _fitting(bundle: Bundle, name: str, precision: str) -> list[Artifact]:
    """Return the artifacts of this precision that an engine can run, the preferred target first."""
    targets = engine_spec(name).targets
    fitting = [a for a in bundle.artifacts if a.target in targets and a.precision == precision]
    return sorted(fitting, key=lambda artifact: targets.index(artifact.target))


def _open(bundle: Bundle, name: str, precision: str, threads: int, device: str | None = None) -> Engine:
    fitting = _fitting(bundle, name, precision)
    if not fitting:
        raise _no_artifact(bundle, precision, name)
    return _open_artifact(bundle, name, fitting[0], threads, device)


def _no_artifact(bundle: Bundle, precision: str, name: str) -> EngineError:
    have = ", ".join(f"{a.target} {a.precision}" for a in bundle.artifacts)
    return EngineError(f"{bundle.where} must hold a {precision} artifact for {name}, but has {have}; export it")


def _open_artifact(bundle: Bundle, name: str, artifact: Artifact, threads: int, device: str | None = None) -> Engine:
    choice = {} if device is None else {"device": device}
    engine = engine_spec(name).open(bundle, artifact, threads, **choice)
    try:
        frames, expected = bundle.golden()
        # The frames are embedded one by one, as in the live case. NaN embeddings give NaN, which fails the comparison.
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
    return engine


def _default_threads() -> int:
    return min(MAX_THREADS, cpus())


def _open_remembered(bundle: Bundle, precision: str, threads: int | None) -> Engine | None:
    """Open the engine that was chosen before; None if there is none, or if it is no longer the same."""
    choice = remembered(bundle, precision, threads)
    if choice is None or choice.engine not in ENGINES or not engine_spec(choice.engine).auto:
        return None
    try:
        engine = _open(bundle, choice.engine, precision, threads or choice.threads or _default_threads())
    except EngineError:  # the library was removed, or the bundle changed
        return None
    if engine.info.version != choice.version:
        engine.close()
        return None
    engine.info = replace(engine.info, reason=f"remembered: {choice.reason}")
    return engine


def _open_fastest(bundle: Bundle, precision: str, threads: int | None) -> Engine:
    opened: list[tuple[float, Engine]] = []
    notes = []
    names = [name for name in auto_engines() if _fitting(bundle, name, precision)]
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
    if len(opened) == 1:
        why = "the only one that verified"
    elif best is min(opened, key=itemgetter(0))[1]:
        why = "fastest verified here"
    else:
        why = "nearly the fastest verified here, and it opens sooner"
    reason = f"{why}: " + ", ".join(f"{engine.info.name} {ms:.2f} ms" for ms, engine in opened)
    best.info = replace(best.info, reason="; ".join([reason, *notes]))
    if len(opened) == len(names):  # a missing engine may be installed later, so nothing is remembered without it
        remember(bundle, precision, Choice(best.info.name, best.info.version, None, reason), threads)
    return best


def _milliseconds(engine: Engine, bundle: Bundle) -> float:
    """Return the shortest of a few single-frame calls: the minimum depends least on other load of the machine."""
    frame = bundle.golden()[0][:1]
    times = []
    for _ in range(TIMED_CALLS):
        start = time.perf_counter()
        engine.embed(frame)
        times.append(time.perf_counter() - start)
    return min(times) * 1e3

"""ONNX -> TensorRT plan, as far as `tensorrt` 10.3 … 11.x and `tensorrt_rtx` agree: parse, profile, build, report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from exporters.errors import ExportError
from runtime.engines.tensorrt_library import quiet_logger

Progress = Callable[[str, int, int], None]  # phase, step done, steps of the phase
# (builder, network, config) -> None: what differs between the libraries, their versions and the precisions
Configure = Callable[[Any, Any, Any], None]


@dataclass(frozen=True)
class Profile:
    """shape: (H, W, C) of one input.  batch: (min, opt, max); the live case is 1."""

    shape: tuple[int, int, int]
    batch: tuple[int, int, int]

    def shapes(self) -> tuple[tuple[int, ...], ...]:
        return tuple((n, *self.shape) for n in self.batch)


def build_plan(
    trt: Any,
    model: bytes,
    profile: Profile,
    configure: Configure,
    *,
    strongly_typed: bool,
    progress: Progress | None = None,
) -> bytes:
    """Build a plan. Raises ExportError with the library's own words: which node, which operator, why."""
    logger = quiet_logger(trt)
    try:
        builder = trt.Builder(logger)
    except TypeError as error:  # pybind's answer to a null pointer
        raise ExportError(
            f"{_name(trt)} cannot build here: {logger.said()}; it needs an NVIDIA GPU and its driver"
        ) from error
    flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED) if strongly_typed else 0
    network = builder.create_network(flags)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model):
        raise ExportError(f"{_name(trt)} cannot read the network: {_parser_errors(parser)}; replace that layer")
    config = builder.create_builder_config()
    optimisation = builder.create_optimization_profile()
    optimisation.set_shape(network.get_input(0).name, *profile.shapes())
    config.add_optimization_profile(optimisation)
    configure(builder, network, config)
    monitor = None if progress is None else _monitor(trt, progress)
    if monitor is not None:
        config.progress_monitor = monitor
    plan = builder.build_serialized_network(network, config)
    if monitor is not None and monitor.error is not None:
        raise monitor.error
    if plan is None:
        raise ExportError(
            f"{_name(trt)} cannot build the network: {logger.said()}; try another precision or a smaller batch"
        )
    return bytes(plan)


def _name(trt: Any) -> str:
    return f"{trt.__name__} {trt.__version__}"


def _parser_errors(parser: Any) -> str:
    errors = [parser.get_error(i) for i in range(parser.num_errors)]
    words = [f"{e.node_operator()} node {e.node_name()!r}: {e.desc()}" for e in errors]
    return "; ".join(words) or "it gives no reason"


def _monitor(trt: Any, progress: Progress) -> Any:
    """Pass the builder's phases on; an exception (Ctrl-C) stops the build and is raised once the builder returns."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.steps: dict[str, int] = {}
            self.error: BaseException | None = None

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            del parent_phase
            self.steps[phase_name] = num_steps

        def step_complete(self, phase_name: str, step: int) -> bool:
            self.tell(phase_name, step + 1)
            return self.error is None

        def phase_finish(self, phase_name: str) -> None:
            self.tell(phase_name, self.steps[phase_name])

        def tell(self, phase: str, done: int) -> None:
            try:
                progress(phase, done, self.steps[phase])
            except BaseException as error:
                self.error = error

    return Monitor()

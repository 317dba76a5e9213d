"""Build a TensorRT plan from an ONNX file, as far as `tensorrt` 10.3 to 11.x and `tensorrt_rtx` agree."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from exporters.errors import ExportError
from exporters.targets.build_progress import Progress, interruptible
from exporters.targets.target import Candidate
from exporters.targets.typed_model import TypedModel
from runtime.engines.nvidia.library import quiet_logger
from runtime.engines.nvidia.passport import Passport, passport_name

# (builder, network, config) -> None: sets what differs between the libraries, their versions and the precisions
Configure = Callable[[Any, Any, Any], None]


@dataclass(frozen=True)
class Profile:
    """The input shapes of a plan.

    Attributes:
        shape: (H, W, C) of one frame.
        batch: The smallest, the usual and the largest batch size. The live case is 1.
    """

    shape: tuple[int, int, int]
    batch: tuple[int, int, int]

    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """Return the smallest, the usual and the largest input shape."""
        return tuple((n, *self.shape) for n in self.batch)


def build_plan(
    trt: Any, model: bytes, profile: Profile, configure: Configure, *, strongly_typed: bool, progress: Progress = str
) -> bytes:
    """Build a plan.

    Args:
        trt: The module `tensorrt` or `tensorrt_rtx`.
        model: The ONNX file.
        profile: The input shapes.
        configure: Sets the options of the builder.
        strongly_typed: Whether every type is taken from the file.
        progress: Called with the name of each phase of the build.

    Raises:
        ExportError: The library refuses the network; the message has its reason, the node and the operator.
    """
    name = f"{trt.__name__} {trt.__version__}"
    logger = quiet_logger(trt)
    try:
        builder = trt.Builder(logger)
    except TypeError as error:  # pybind's answer to a null pointer
        raise ExportError(f"{name} cannot build here: {logger.said()}; it needs an NVIDIA GPU and a driver") from error
    flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED) if strongly_typed else 0
    network = builder.create_network(flags)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(model):
        raise ExportError(f"{name} cannot read the network: {_parser_errors(parser)}; replace that layer")
    config = builder.create_builder_config()
    optimisation = builder.create_optimization_profile()
    optimisation.set_shape(network.get_input(0).name, *profile.shapes())
    config.add_optimization_profile(optimisation)
    configure(builder, network, config)
    with interruptible(trt, config, progress):
        plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise ExportError(f"{name} cannot build the network: {logger.said()}; try another precision or a smaller batch")
    return bytes(plan)


def plan_candidate(
    target: str,
    plan: bytes,
    *,
    model: bytes,
    typed: TypedModel,
    profile: Profile,
    trtexec: Callable[[str, str], str],
    reason: str,
    **bound: Any,
) -> Candidate:
    """Return the candidate of a plan: the plan, its passport and, if it is not model.onnx, the ONNX file it came from.

    With the ONNX file a device can build its own plan with nothing but TensorRT: no calibration pictures, no torch.

    Args:
        target: "tensorrt" or "tensorrt-rtx".
        plan: The plan.
        model: The bundle's model.onnx.
        typed: The ONNX file the plan was built from.
        profile: The input shapes.
        trtexec: Maps the names of ONNX file and plan to the command that builds the same plan.
        reason: What should be known about the plan.
        bound: The other fields of `Passport`, to which the plan is bound.
    """
    folder = f"{target}/{typed.precision}"
    file, onnx = f"{folder}/model.plan", f"{folder}/model.onnx" if typed.converted else "model.onnx"
    passport = Passport(
        target=target,
        precision=typed.precision,
        plan_sha256=hashlib.sha256(plan).hexdigest(),
        model_sha256=hashlib.sha256(model).hexdigest(),
        onnx_sha256=hashlib.sha256(typed.data if typed.converted else model).hexdigest(),
        shape=profile.shape,
        batch=profile.batch,
        trtexec=trtexec(onnx, file),
        **bound,
    )
    files = {file: plan, passport_name(file): passport.to_json()}
    if typed.converted:
        files[onnx] = typed.data
    reason = f"{reason}; its ONNX on this CPU: min cosine {typed.min_cosine:.5f} to float32{typed.remark}"
    return Candidate(target, typed.precision, file, files, reason)


def _parser_errors(parser: Any) -> str:
    errors = [parser.get_error(i) for i in range(parser.num_errors)]
    sentences = [f"{e.node_operator()} node {e.node_name()!r}: {e.desc()}" for e in errors]
    return "; ".join(sentences) or "it gives no reason"

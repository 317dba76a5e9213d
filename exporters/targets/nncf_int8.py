"""int8 for OpenVINO by NNCF's post-training quantisation, and a second attempt that keeps the worst layers in float32.

NNCF's own accuracy control compiles one model per layer to rank the layers, which takes 20 minutes for an EfficientNet
on two cores. Here one run ranks them all: both models return the output of every layer for the same few frames, and a
layer's loss is what its output lost in addition to the loss of its input. The worst layers are left out of the next
quantisation, at most twice, so that the second attempt takes about as long as the first. Its result is verified like
any other artifact.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporters.frames import evenly_spaced
from exporters.quiet import quiet
from exporters.tools import load_tool
from runtime.engines import agreement
from runtime.engines.openvino import core

FRAMES = 300  # for calibration: more change nothing, fewer cost accuracy
FRAMES_AGAIN = 100  # for calibration in a second attempt
SHARES = (0.1, 0.3)  # of the layers that compute in float32, in the second attempt
COMPARED, RANKED = 32, 4  # frames that compare the whole model, and that rank its layers
MAX_DROP = 0.005  # of the mean cosine to float32, at which the second attempt stops
HEAVY = ("Convolution", "GroupConvolution", "MatMul")
LOGGERS = ("nncf", "torch.utils.cpp_extension")


def quantised(network: Any, frames: NDArray[np.uint8], *, spare: Sequence[str] = (), count: int = FRAMES) -> Any:
    """Return an OpenVINO model in int8.

    Args:
        network: The float32 model.
        frames: Calibration frames, `uint8 [N, H, W, C]`.
        spare: Names of layers that stay in float32.
        count: How many of the frames are used.
    """
    nncf = import_nncf()
    frames = frames[evenly_spaced(len(frames), count)]
    with quiet(*LOGGERS):
        return nncf.quantize(
            network,
            nncf.Dataset([frame[None] for frame in frames]),
            preset=nncf.QuantizationPreset.MIXED,  # asymmetric activations: h-swish and SiLU need them
            subset_size=len(frames),
            # head and tail stay float32: quantised lengths of 0 would make NaN of an embedding
            ignored_scope=nncf.IgnoredScope(names=list(spare), patterns=["edgefs/.*", "embeddings"], validate=False),
        )


def quantised_except_worst(network: Any, frames: NDArray[np.uint8]) -> tuple[Any, str]:
    """Quantise all layers but those that lose most, and return the model and a sentence about it.

    The layers are chosen on the calibration frames, never on the pictures that the artifact is verified on.
    """
    rough = quantised(network, frames, count=FRAMES_AGAIN)
    ranked = _by_loss(network, rough, frames[evenly_spaced(len(frames), RANKED)])
    compared = frames[evenly_spaced(len(frames), COMPARED)]
    expected = _embed(network, compared)
    for share in SHARES:
        spare = ranked[: math.ceil(share * len(ranked))]
        made = quantised(network, frames, spare=spare, count=FRAMES_AGAIN)
        cosine = float(agreement(_embed(made, compared), expected).mean())
        if cosine >= 1 - MAX_DROP:
            break
    kept = f"{len(spare)} of {len(ranked)} layers kept in float32"
    return made, f"{kept}, mean cosine {cosine:.4f} on calibration pictures"


def import_nncf() -> Any:
    """Import NNCF without its messages. Raises ToolMissing."""
    with quiet(*LOGGERS):
        return load_tool("nncf", "int8 for OpenVINO")


def _by_loss(network: Any, quantised_network: Any, frames: NDArray[np.uint8]) -> list[str]:
    """Return the names of the layers with weights, those that lose most first."""
    layers = [op for op in network.get_ordered_ops() if op.get_type_name() in HEAVY]
    sources = {op.get_friendly_name(): op.input_value(0).get_node().get_friendly_name() for op in layers}
    shown = sorted({*sources, *sources.values()})
    lost = dict(zip(shown, _losses(network, quantised_network, shown, frames), strict=True))
    return sorted(sources, key=lambda name: lost[sources[name]] - lost[name])


def _losses(first: Any, second: Any, names: Sequence[str], frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return 1 - cosine between the outputs of every named layer in two models, the mean over the frames."""
    ours, theirs = (_layer_outputs(network, names) for network in (first, second))
    losses = np.zeros(len(names))
    for frame in frames:
        for i, (a, b) in enumerate(zip(ours(frame), theirs(frame), strict=True)):
            losses[i] += 1 - float(agreement(a.reshape(1, -1), b.reshape(1, -1))[0])
    return losses / len(frames)


def _layer_outputs(network: Any, names: Sequence[str]) -> Callable[[NDArray[np.uint8]], list[NDArray[Any]]]:
    """Return a function from one frame to the outputs of these layers."""
    shown = network.clone()
    ops = {op.get_friendly_name(): op for op in shown.get_ops()}
    shown.add_outputs([ops[name].output(0) for name in names])
    compiled = _compiled(shown)
    first = len(compiled.outputs) - len(names)

    def outputs(frame: NDArray[np.uint8]) -> list[NDArray[Any]]:
        results = compiled({0: frame[None]})
        return [results[first + i] for i in range(len(names))]

    return outputs


def _embed(network: Any, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    compiled = _compiled(network)
    return np.concatenate([np.array(compiled({0: frame[None]})[0], np.float32) for frame in frames])


def _compiled(network: Any) -> Any:
    return core().compile_model(network.clone(), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

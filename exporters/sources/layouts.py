"""Whose names the weights of a file have: torchvision, timm and Hugging Face name the same layers differently.

Names of timm and of Hugging Face are given those of torchvision's same network, where a rule does it: ResNet, VGG,
ConvNeXt and ViT by tables of names, and the networks of inverted bottlenecks (MobileNetV2 and V3, EfficientNet,
MNASNet) by the order in which their layers are computed. timm's ResNet and DenseNet have torchvision's names. Weights
of timm with `tf_` in the name of their network do not fit, because they were trained with TensorFlow's borders. For
other networks the message says whose names the file has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

# What the beginning of a name becomes; the numbers of stages and layers of timm and Hugging Face begin with 0.
_Rule = tuple[str, Callable[[re.Match[str]], str]]
_BODY = {"convolution": "conv", "normalization": "bn"}
_CONVNEXT_BLOCK = dict(
    zip(
        ("conv_dw", "norm", "mlp.fc1", "mlp.fc2", "dwconv", "layernorm", "pwconv1", "pwconv2"),
        (0, 2, 3, 5) * 2,
        strict=True,
    )
)
_VIT_LAYER = {
    "norm1.": "ln_1.", "norm2.": "ln_2.", "attn.qkv.": "self_attention.in_proj_",
    "attn.proj.": "self_attention.out_proj.", "mlp.fc1.": "mlp.0.", "mlp.fc2.": "mlp.3.",
    "layernorm_before.": "ln_1.", "layernorm_after.": "ln_2.", "attention.output.dense.": "self_attention.out_proj.",
    "intermediate.dense.": "mlp.0.", "output.dense.": "mlp.3.",
}  # fmt: skip
_PARTS = ("query", "key", "value")  # torchvision keeps them in one tensor, in this order


def _fixed(name: str) -> Callable[[re.Match[str]], str]:
    return lambda _: name


def _any_of(names: Iterable[str]) -> str:
    return "|".join(map(re.escape, names))


class _Family(NamedTuple):
    """Networks whose names are translated by a table.

    Attributes:
        sign: Names that torchvision's network of the family has.
        rules: The first one that matches the beginning of a name gives the new beginning.
    """

    sign: tuple[str, ...]
    rules: tuple[_Rule, ...]


_RESNET = _Family(
    ("layer1.0.conv1.weight",),
    (
        (r"embedder\.embedder\.convolution\.", _fixed("conv1.")),
        (r"embedder\.embedder\.normalization\.", _fixed("bn1.")),
        (
            r"encoder\.stages\.(\d+)\.layers\.(\d+)\.shortcut\.(convolution|normalization)\.",
            lambda m: f"layer{int(m[1]) + 1}.{m[2]}.downsample.{int(m[3] == 'normalization')}.",
        ),
        (
            r"encoder\.stages\.(\d+)\.layers\.(\d+)\.layer\.(\d+)\.(convolution|normalization)\.",
            lambda m: f"layer{int(m[1]) + 1}.{m[2]}.{_BODY[m[4]]}{int(m[3]) + 1}.",
        ),
        (r"classifier\.1\.", _fixed("fc.")),
    ),
)
_VGG = _Family(
    ("features.0.weight", "classifier.0.weight"),
    (
        (r"pre_logits\.fc1\.", _fixed("classifier.0.")),
        (r"pre_logits\.fc2\.", _fixed("classifier.3.")),
        (r"head\.fc\.", _fixed("classifier.6.")),
    ),
)
_CONVNEXT = _Family(
    ("features.1.0.layer_scale",),
    (
        (r"stem\.(\d)\.", lambda m: f"features.0.{m[1]}."),
        (r"embeddings\.(patch_embeddings|layernorm)\.", lambda m: f"features.0.{int(m[1] == 'layernorm')}."),
        (
            r"(?:encoder\.)?stages\.(\d+)\.(?:downsample|downsampling_layer)\.(\d)\.",
            lambda m: f"features.{2 * int(m[1])}.{m[2]}.",
        ),
        (
            r"(?:encoder\.)?stages\.(\d+)\.(?:blocks|layers)\.(\d+)\.(?:gamma|layer_scale_parameter)",
            lambda m: f"features.{2 * int(m[1]) + 1}.{m[2]}.layer_scale",
        ),
        (
            rf"(?:encoder\.)?stages\.(\d+)\.(?:blocks|layers)\.(\d+)\.({_any_of(_CONVNEXT_BLOCK)})\.",
            lambda m: f"features.{2 * int(m[1]) + 1}.{m[2]}.block.{_CONVNEXT_BLOCK[m[3]]}.",
        ),
        (r"(head\.norm|layernorm)\.", _fixed("classifier.0.")),
        (r"(head\.fc\.|classifier\.(?=weight|bias))", _fixed("classifier.2.")),
    ),
)
_VIT = _Family(
    ("conv_proj.weight", "class_token"),
    (
        (r"(embeddings\.)?cls_token", _fixed("class_token")),
        (r"(pos_embed|embeddings\.position_embeddings)", _fixed("encoder.pos_embedding")),
        (r"(patch_embed\.proj|embeddings\.patch_embeddings\.projection)\.", _fixed("conv_proj.")),
        (
            rf"encoder\.layer\.(\d+)\.attention\.attention\.({'|'.join(_PARTS)})\.(weight|bias)",
            lambda m: f"encoder.layers.encoder_layer_{m[1]}.self_attention.in_proj_{m[3]}.{_PARTS.index(m[2])}",
        ),
        (
            rf"(?:blocks|encoder\.layer)\.(\d+)\.({_any_of(_VIT_LAYER)})",
            lambda m: f"encoder.layers.encoder_layer_{m[1]}.{_VIT_LAYER[m[2]]}",
        ),
        (r"(norm|layernorm)\.", _fixed("encoder.ln.")),
        (r"(head|classifier)\.(?=weight|bias)", _fixed("heads.head.")),
    ),
)
_FAMILIES = (_RESNET, _VGG, _CONVNEXT, _VIT)
_OUTER = re.compile(r"(resnet|convnext|vit)\.")  # the name of the body in Hugging Face's classifiers
_STEM = "conv_stem.weight"  # that of timm's networks of inverted bottlenecks
_BLOCKS = {  # the layers of such a block in the order of computation; the first one that a block has tells its kind
    "conv_exp": ("conv_exp", "bn1", "se.conv_reduce", "se.conv_expand", "conv_pwl", "bn2"),
    "conv_pwl": ("conv_pw", "bn1", "conv_dw", "bn2", "se.conv_reduce", "se.conv_expand", "conv_pwl", "bn3"),
    "conv_dw": ("conv_dw", "bn1", "se.conv_reduce", "se.conv_expand", "conv_pw", "bn2"),
    "conv": ("conv", "bn1"),
}
_AROUND = ("conv_stem", "bn1", "blocks", "conv_head", "bn2", "classifier")
_EPSILON = 1e-5  # of every BatchNorm of these networks in timm; in some of torchvision it is 1e-3
# Names that only one library uses, in the order of the search.
_SIGNS = {
    "Hugging Face": r"(embedder\.|embeddings\.|encoder\.stages\.|encoder\.layer\.|layernorm\.)",
    "timm": r"(conv_stem\.|blocks\.|patch_embed\.|stages\.|stem\.|conv_head\.)",
    "torchvision": r"(features\.|conv_proj\.|encoder\.layers\.|avgpool\.|classifier\.)",
}


def translated(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Give the weights of timm or Hugging Face the names and shapes that torchvision's network expects.

    A state that has these names already, or that no rule fits, is returned as it is.
    """
    if _by_order(state, expected):
        found = _shaped(_in_order(state, expected), expected)
        weights = [key for key in expected if not key.endswith("num_batches_tracked")]
        fits = all(key in found and found[key].shape == expected[key].shape for key in weights)
        return found if fits else state  # of another network its own names say more
    made = (_by_table(family, state, expected) for family in _FAMILIES)
    named = next((some for some in made if some), None)
    return state if named is None else _shaped(named, expected)


def adopt_epsilon(network: nn.Module, state: Collection[str]) -> None:
    """Set the epsilon of every BatchNorm to the one that weights with timm's names were trained with, in place."""
    if _by_order(state, network.state_dict()):
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eps = _EPSILON


def layout_hint(state: Collection[str], expected: Collection[str]) -> str:
    """Return whose names a file has, as a sentence for a message; "" if they are those of the network's library."""
    found, wanted = _library(state), _library(expected)
    if found is None or found == wanted:
        return ""
    advice = {"timm": "; take --backbone timm:NAME", "torchvision": "; take --backbone NAME without timm:"}
    return f" The file has the names of {found}{advice.get(found, '')}."


def _by_table(family: _Family, state: Mapping[str, Tensor], expected: Collection[str]) -> dict[str, Tensor] | None:
    """Return the state with the names that a family's table gives; None if that is not what the network expects."""
    if not set(family.sign) <= set(expected) or set(family.sign) <= set(state):
        return None
    found = {
        _renamed(_OUTER.sub("", key, count=1) if _OUTER.match(key) else key, family.rules): state[key] for key in state
    }
    parts = sorted(key for key in found if re.search(r"in_proj_(weight|bias)\.\d$", key))
    for whole in dict.fromkeys(key[:-2] for key in parts):
        found[whole] = torch.cat([found.pop(key) for key in parts if key[:-2] == whole])
    return found if set(family.sign) <= set(found) else None


def _renamed(key: str, rules: Sequence[_Rule]) -> str:
    for pattern, name in rules:
        if match := re.match(pattern, key):
            return name(match) + key[match.end() :]
    return key


def _shaped(state: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give a product that is a convolution in one library and a matrix in the other, or a scale, the wanted shape."""

    def shaped(value: Tensor, wanted: Tensor) -> Tensor:
        flat = min(value.ndim, wanted.ndim) <= 2 and value.shape[:1] == wanted.shape[:1]
        return value.reshape(wanted.shape) if flat and value.numel() == wanted.numel() else value

    return {key: shaped(value, expected[key]) if key in expected else value for key, value in state.items()}


def _by_order(state: Collection[str], expected: Collection[str]) -> bool:
    return _STEM in state and _STEM not in expected


def _in_order(state: Mapping[str, Tensor], expected: Collection[str]) -> dict[str, Tensor]:
    """Give the layers of one network the names of another one's, both in the order of computation.

    The last layer may be missing in the network, where it was cut off. Other layers that remain keep their names.
    """
    ours = list(dict.fromkeys(key.rpartition(".")[0] for key in expected))
    theirs = _computed_order(dict.fromkeys(key.rpartition(".")[0] for key in state))
    if theirs[-1:] == ["classifier"] and len(theirs) == len(ours) + 1:
        theirs.pop()
    names = dict(zip(theirs, ours, strict=False))
    parts = ((key.rpartition("."), tensor) for key, tensor in state.items())
    return {
        f"{names.get(layer, layer)}.{leaf}": tensor
        for (layer, _, leaf), tensor in parts
        if layer in names or layer != "classifier"
    }


def _computed_order(layers: Iterable[str]) -> list[str]:
    """Return the layers of a timm network of inverted bottlenecks in the order in which they are computed."""
    blocks: dict[tuple[int, ...], set[str]] = {}
    for layer in layers:
        if match := re.match(r"blocks\.(\d+)\.(\d+)\.(.+)", layer):
            blocks.setdefault((int(match[1]), int(match[2])), set()).add(match[3])
    inside = [
        f"blocks.{stage}.{block}.{layer}"
        for (stage, block), own in sorted(blocks.items())
        for layer in next((order for kind, order in _BLOCKS.items() if kind in own), ())
        if layer in own
    ]
    around = {name: [name] for name in _AROUND if name in set(layers)} | {"blocks": inside}
    return [layer for name in _AROUND for layer in around.get(name, [])]


def _library(keys: Collection[str]) -> str | None:
    return next((name for name, sign in _SIGNS.items() if any(re.match(rf"(\w+\.)?{sign}", key) for key in keys)), None)

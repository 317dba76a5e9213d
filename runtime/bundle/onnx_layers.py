"""The shapes that convolutions, products, sums and the like give. Their values are never known.

A rule takes a node and its inputs, where a left-out input is None, and raises an error if they do not fit.
Operators: https://github.com/onnx/onnx/blob/main/docs/Operators.md
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from runtime.bundle.onnx_graph import DTYPES, Node, Tensor, unknown

Maybe = Tensor | None


def numbers(value: Maybe) -> list[int]:
    """Return the whole numbers in a constant; an absent one has none."""
    if value is None:
        return []
    if not value.known:
        raise ValueError("its size would depend on the picture, or on a list of too many numbers")
    return [int(each) for each in value.array.ravel()]


def listed(node: Node, key: str, value: Maybe = None) -> list[int] | None:
    """Return the numbers that newer opsets have as an input and older ones as an attribute; None if there are none."""
    if value is not None:
        return numbers(value)
    return [int(each) for each in node.attributes[key]] if key in node.attributes else None


def axis_of(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} is not one of {rank} dimensions")
    return axis % rank


def axes_of(node: Node, rank: int, value: Maybe = None) -> list[int] | None:
    axes = listed(node, "axes", value)
    if axes is None:
        return None
    places = [axis_of(axis, rank) for axis in axes]
    if len(set(places)) < len(places):
        raise ValueError("an axis is named twice")
    return places


def same(node: Node, first: Tensor, *others: Maybe) -> Tensor:
    return unknown(first.shape, first.dtype)


def gather_nd(node: Node, data: Tensor, index: Tensor) -> Tensor:
    used = node.attributes.get("batch_dims", 0) + index.shape[-1]
    if used > len(data.shape):
        raise ValueError(f"{used} indices do not fit {len(data.shape)} dimensions")
    return unknown((*index.shape[:-1], *data.shape[used:]), data.dtype)


def reduce(node: Node, data: Tensor, axes: Maybe = None) -> Tensor:
    places = axes_of(node, len(data.shape), axes)
    if not places:
        places = [] if node.attributes.get("noop_with_empty_axes") else list(range(len(data.shape)))
    keep = node.attributes.get("keepdims", 1)
    left = (1 if at in places else size for at, size in enumerate(data.shape) if keep or at not in places)
    return unknown(tuple(left), data.dtype)


def matmul(node: Node, a: Tensor, b: Tensor) -> Tensor:
    left, right = ((1, *a.shape) if len(a.shape) == 1 else a.shape), ((*b.shape, 1) if len(b.shape) == 1 else b.shape)
    if left[-1] != right[-2]:
        raise ValueError(f"the shapes {a.shape} and {b.shape} cannot be multiplied")
    ends = left[-2:-1] * (len(a.shape) > 1) + right[-1:] * (len(b.shape) > 1)
    return unknown((*np.broadcast_shapes(left[:-2], right[:-2]), *ends), a.dtype)


def gemm(node: Node, a: Tensor, b: Tensor, _: Maybe = None) -> Tensor:
    (rows, inner), (other, columns) = (
        value.shape[::-1] if node.attributes.get(key) else value.shape for key, value in (("transA", a), ("transB", b))
    )
    if inner != other:
        raise ValueError(f"the shapes {a.shape} and {b.shape} cannot be multiplied")
    return unknown((rows, columns), a.dtype)


def einsum_sizes(node: Node, *inputs: Tensor) -> tuple[dict[str | int, int], list[str | int]]:
    """Return the size of every label of an equation, and the labels of its output; "..." is …, -2, -1."""
    terms, arrow, output = node.attributes["equation"].replace(" ", "").partition("->")
    if len(inputs) > 2:  # engines choose the order of more, and with it how large the results between them are
        raise ValueError(f"it has {len(inputs)} inputs, and at most 2 can be bounded")
    sizes: dict[str | int, int] = {}
    labels: list[str | int] = []
    for term, value in zip(terms.split(","), inputs, strict=True):
        head, dots, tail = term.partition("...")
        more = len(value.shape) - len(head) - len(tail)
        if more < 0 or (more and not dots):
            raise ValueError(f"the term {term} does not fit the shape {value.shape}")
        here: list[str | int] = [*head, *range(-more, 0), *tail]
        labels += here
        for label, size in zip(here, value.shape, strict=True):
            if sizes.setdefault(label, size) == 1:
                sizes[label] = size
            elif size not in (1, sizes[label]):
                raise ValueError(f"{label} would be {sizes[label]} and {size}")
    hidden = sorted(label for label in sizes if isinstance(label, int))
    head, dots, tail = output.partition("...")
    if not arrow:  # what appears once, in the order of the alphabet
        return sizes, [
            *hidden,
            *sorted(label for label in sizes if isinstance(label, str) and labels.count(label) == 1),
        ]
    return sizes, [*head, *(hidden if dots else []), *tail]


def einsum(node: Node, *inputs: Tensor) -> Tensor:
    sizes, labels = einsum_sizes(node, *inputs)
    return unknown(tuple(sizes[label] for label in labels), inputs[0].dtype)


def depth_to_space(node: Node, data: Tensor) -> Tensor:
    (count, depth, height, width), side = data.shape, node.attributes["blocksize"]
    return unknown((count, depth // side**2, height * side, width * side), data.dtype)


def space_to_depth(node: Node, data: Tensor) -> Tensor:
    (count, depth, height, width), side = data.shape, node.attributes["blocksize"]
    return unknown((count, depth * side**2, height // side, width // side), data.dtype)


def _windows(node: Node, sizes: tuple[int, ...], kernel: Sequence[int]) -> tuple[int, ...]:
    """Return how often a kernel fits into a map in each direction."""
    rank, pad = len(sizes), node.attributes.get("auto_pad", "NOTSET")
    strides, dilations, pads = (
        listed(node, key) or [default] * count
        for key, default, count in (("strides", 1, rank), ("dilations", 1, rank), ("pads", 0, 2 * rank))
    )
    if min(*strides, *dilations, *kernel) < 1 or len(kernel) != rank or len(pads) != 2 * rank:
        raise ValueError("its kernel, strides, dilations and pads do not fit its input")
    if pad.startswith("SAME"):
        return tuple(-(-size // stride) for size, stride in zip(sizes, strides, strict=True))
    if pad == "VALID":
        pads = [0] * 2 * rank
    spans = [(each - 1) * dilation + 1 for each, dilation in zip(kernel, dilations, strict=True)]
    room = [size + pads[at] + pads[at + rank] - span for at, (size, span) in enumerate(zip(sizes, spans, strict=True))]
    counts = [each // stride + 1 for each, stride in zip(room, strides, strict=True)]
    if node.attributes.get("ceil_mode"):  # a further window if a part of the map is left; 2: or of its padding
        starts = [count * stride for count, stride in zip(counts, strides, strict=True)]
        more = [
            start < room[at] + stride and (start < sizes[at] + pads[at] or node.attributes["ceil_mode"] == 2)
            for at, (start, stride) in enumerate(zip(starts, strides, strict=True))
        ]
        counts = [count + extra for count, extra in zip(counts, more, strict=True)]
    return tuple(counts)


def conv(node: Node, data: Tensor, weight: Tensor, _: Maybe = None) -> Tensor:
    if data.shape[1] != weight.shape[1] * node.attributes.get("group", 1):
        raise ValueError(f"weights of the shape {weight.shape} do not fit an input of the shape {data.shape}")
    return unknown((data.shape[0], weight.shape[0], *_windows(node, data.shape[2:], weight.shape[2:])), data.dtype)


def pool(node: Node, data: Tensor) -> list[Tensor]:
    shape = (*data.shape[:2], *_windows(node, data.shape[2:], listed(node, "kernel_shape") or []))
    return [unknown(shape, data.dtype), unknown(shape, np.dtype("<i8"))][: len(node.outputs)]


def global_pool(node: Node, data: Tensor) -> Tensor:
    return unknown((*data.shape[:2], *(1 for _ in data.shape[2:])), data.dtype)


def pad(node: Node, data: Tensor, pads: Maybe = None, _: Maybe = None, axes: Maybe = None) -> Tensor:
    rank, added = len(data.shape), listed(node, "pads", pads) or []
    places = axes_of(node, rank, axes) if axes is not None else list(range(rank))
    shape, half = list(data.shape), len(added) // 2
    for at, before, after in zip(places or [], added[:half], added[half:], strict=True):
        shape[at] += before + after
    return unknown(tuple(shape), data.dtype)


def resize(node: Node, data: Tensor, roi: Maybe = None, scales: Maybe = None, sizes: Maybe = None) -> Tensor:
    if node.attributes.get("coordinate_transformation_mode") == "tf_crop_and_resize":
        raise ValueError("its mode is tf_crop_and_resize")
    if node.attributes.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise ValueError("its policy for the aspect ratio is not stretch")
    places = axes_of(node, len(data.shape))
    shape, which = list(data.shape), list(range(len(data.shape))) if places is None else places
    wanted = numbers(sizes)
    factors = scales if scales is not None and scales.size else None
    if not wanted:
        if factors is None or not factors.known:
            raise ValueError("its size would depend on the picture")
        old = [np.float32(shape[at]) for at in which]
        wanted = [int(size * scale) for size, scale in zip(old, factors.array.ravel().tolist(), strict=True)]
    for at, size in zip(which, wanted, strict=True):
        shape[at] = size
    return unknown(tuple(shape), data.dtype)


def quantize(node: Node, data: Tensor, _: Tensor, zero: Maybe = None) -> Tensor:
    stated = node.attributes.get("output_dtype")
    return unknown(data.shape, DTYPES[stated] if stated else zero.dtype if zero else np.dtype("u1"))


def layer_norm(node: Node, data: Tensor, *_: Maybe) -> list[Tensor]:
    axis = axis_of(node.attributes.get("axis", -1), len(data.shape))
    statistic = unknown(tuple(1 if at >= axis else size for at, size in enumerate(data.shape)), np.dtype("<f4"))
    return [unknown(data.shape, data.dtype), statistic, statistic][: len(node.outputs)]

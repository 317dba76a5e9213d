"""Convolution and batch normalisation whose second derivative costs about as much as the first.

torch computes the second derivative of a convolution by a convolution with kernels as large as the image, and that of
batch normalisation in about thirty passes over memory. Here:

convolution    the convolution, the gradient of its input and that of its weights are three bilinear maps, and the
               derivatives of each are the other two; so every derivative is one of the three kernels of the framework
normalisation  the closed form, which needs the sums that the fused first derivative returns

The values equal torch's to rounding; tests compare them with torch's and with finite differences.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

Geometry = tuple[Any, Any, Any, int]  # stride, padding, dilation, groups


def _gradient(g: Tensor, x: Tensor, w: Tensor, geometry: Geometry, which: tuple[bool, bool, bool]) -> Any:
    stride, padding, dilation, groups = geometry
    return torch.ops.aten.convolution_backward(
        g, x, w, None, stride, padding, dilation, False, [0, 0], groups, list(which)
    )


class _Convolution(Function):  # type: ignore[misc]  # torch is untyped here
    """The convolution x * w."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, w: Tensor, geometry: Geometry) -> Tensor:
        ctx.save_for_backward(x, w)
        ctx.geometry = geometry
        return F.conv2d(x, w, None, *geometry)

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        (x, w), (for_x, for_w, _) = ctx.saved_tensors, ctx.needs_input_grad
        return (
            _OfInput.apply(g, w, x, ctx.geometry) if for_x else None,
            _OfWeight.apply(g, x, w, ctx.geometry) if for_w else None,
            None,
        )


class _OfInput(Function):  # type: ignore[misc]  # torch is untyped here
    """The gradient of the input, bilinear in g and w; `like` is any tensor of the input's shape."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, w: Tensor, like: Tensor, geometry: Geometry) -> Tensor:
        ctx.save_for_backward(g, w)
        ctx.geometry = geometry
        return _gradient(g, like, w, geometry, (True, False, False))[0]

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> Any:
        (g, w), (for_g, for_w, *_) = ctx.saved_tensors, ctx.needs_input_grad
        return (
            _Convolution.apply(v, w, ctx.geometry) if for_g else None,
            _OfWeight.apply(g, v, w, ctx.geometry) if for_w else None,
            None,
            None,
        )


class _OfWeight(Function):  # type: ignore[misc]  # torch is untyped here
    """The gradient of the weights, bilinear in g and x; `like` is any tensor of the weights' shape."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, x: Tensor, like: Tensor, geometry: Geometry) -> Tensor:
        ctx.save_for_backward(g, x)
        ctx.geometry = geometry
        return _gradient(g, x, like, geometry, (False, True, False))[1]

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> Any:
        (g, x), (for_g, for_x, *_) = ctx.saved_tensors, ctx.needs_input_grad
        return (
            _Convolution.apply(x, v, ctx.geometry) if for_g else None,
            _OfInput.apply(g, v, x, ctx.geometry) if for_x else None,
            None,
            None,
        )


class _Normalise(Function):  # type: ignore[misc]  # torch is untyped here
    """(x - mean) / sqrt(var + eps) · γ + β with the statistics of the batch."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gamma: Tensor, beta: Tensor, eps: float) -> Tensor:
        y, mean, inverse = torch.native_batch_norm(x, gamma, beta, None, None, True, 0.0, eps)
        ctx.save_for_backward(x, gamma, mean, inverse)
        ctx.eps = eps
        return y

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> Any:
        return *_NormaliseGradient.apply(g, *ctx.saved_tensors, ctx.eps), None


class _NormaliseGradient(Function):  # type: ignore[misc]  # torch is untyped here
    """From g to the gradients of x, γ and β; x̂ = (x - mean) · inverse.

    dx = γ · inverse · (g - E[g] - x̂ · E[g x̂]),  dγ = Σ g x̂,  dβ = Σ g.
    """

    @staticmethod
    def forward(ctx: Any, g: Tensor, x: Tensor, gamma: Tensor, mean: Tensor, inverse: Tensor, eps: float) -> Any:
        dx, dgamma, dbeta = _norm_backward(g, x, gamma, mean, inverse, eps)
        ctx.save_for_backward(g, x, gamma, mean, inverse, dgamma)
        ctx.eps = eps
        return dx, dgamma, dbeta

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, v: Tensor, of_gamma: Tensor, of_beta: Tensor) -> Any:
        """v, of_gamma, of_beta: the gradients of the loss by dx, dγ, dβ."""
        g, x, gamma, mean, inverse, g_x = ctx.saved_tensors
        n, per = x.numel() // x.shape[1], (1, -1, 1, 1)
        x_hat = (x - mean.view(per)).mul_(inverse.view(per))
        to_g, v_x, v_sum = _norm_backward(v, x, gamma, mean, inverse, ctx.eps)  # it is its own transpose
        to_g.addcmul_(x_hat, of_gamma.view(per)).add_(of_beta.view(per))
        # Σ v dx = γ · inverse · along
        g_sum = g.sum((0, 2, 3))
        along = (v * g).sum((0, 2, 3)) - (v_sum * g_sum + v_x * g_x) / n
        scale = gamma * inverse / n
        h = g * (of_gamma - scale * v_x).view(per)
        h.addcmul_(v, (-scale * g_x).view(per))
        to_x, _, _ = _norm_backward(h, x, None, mean, inverse, ctx.eps)
        to_x.addcmul_(x_hat, (-scale * inverse * along).view(per))
        return to_g, to_x, along * inverse, None, None, None


def _norm_backward(
    g: Tensor, x: Tensor, gamma: Tensor | None, mean: Tensor, inverse: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    return torch.ops.aten.native_batch_norm_backward(  # type: ignore[no-any-return]
        g, x, gamma, None, None, mean, inverse, True, eps, [True, True, True]
    )


def convolution(layer: nn.Conv2d, x: Tensor) -> Tensor:
    geometry = (layer.stride, layer.padding, layer.dilation, layer.groups)
    y = _Convolution.apply(x, layer.weight, geometry)
    return y if layer.bias is None else y + layer.bias.view(1, -1, 1, 1)


def normalisation(layer: nn.BatchNorm2d, x: Tensor) -> Tensor:
    if not layer.training:  # by running statistics: a scale and a shift of each channel
        scale = layer.weight * torch.rsqrt(layer.running_var + layer.eps)
        shift = layer.bias - layer.running_mean * scale
        return torch.addcmul(shift.view(1, -1, 1, 1), x, scale.view(1, -1, 1, 1))
    return _Normalise.apply(x, layer.weight, layer.bias, layer.eps)  # type: ignore[no-any-return]


LAYERS = {nn.Conv2d: convolution, nn.BatchNorm2d: normalisation}


def use_fast_derivatives(network: nn.Module) -> None:
    """Make the convolutions and normalisations of a network use these derivatives. Changes the network in place."""
    for layer in network.modules():
        forward = LAYERS.get(type(layer))
        if forward is not None and (not isinstance(layer, nn.Conv2d) or layer.padding_mode == "zeros"):
            layer.forward = forward.__get__(layer)  # type: ignore[attr-defined]

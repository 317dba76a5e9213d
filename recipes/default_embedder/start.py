"""Weights to go on from: the student of a packed bundle, with its batch normalisation rebuilt.

Packing folds every BatchNorm into the convolution before it. What a training needs back is found by running pictures:
the mean and spread of each convolution's output become the statistics, and the scale and shift that undo them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from student import Student, normalise
from torch import Tensor, nn

from exporters.onnx.weight_storage import with_float_weights

PICTURES = 512  # the statistics are measured on


def student_of(bundle: Path, pictures: np.ndarray) -> Student:
    """The bundle's student. pictures: uint8 [N, H, H, 3] RGB."""
    weights = {t.name: t for t in with_float_weights(onnx.load(bundle / "model.onnx")).graph.initializer}

    def weight(name: str) -> Tensor:
        return torch.from_numpy(numpy_helper.to_array(weights[f"network.{name}"]).copy())

    student = Student().eval()
    for name, module in student.named_modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data = weight(f"{name}.weight")
            norm = student.get_submodule(f"{name[:-1]}{int(name[-1]) + 1}")
            folded_by_torch = f"network.{name}.bias" in weights  # else by the exporter, which has a name of its own
            restore(norm, weight(f"{name}.bias" if folded_by_torch else f"{name}.weight_bias"))
    student.head.weight.data, student.head.bias.data = weight("head.weight"), weight("head.bias")
    if "base_mean" in weights:  # the first bundles subtracted a mean behind the head
        student.head.bias.data -= torch.from_numpy(numpy_helper.to_array(weights["base_mean"]).copy())
    with torch.inference_mode():
        student(normalise(pictures[:PICTURES]))
    for norm in (m for m in student.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.hook.remove()
        del norm.hook, norm.shift
    return student


def restore(norm: nn.BatchNorm2d, shift: Tensor) -> None:
    """Set the statistics from the next input, and scale and shift so that the layer only adds `shift`."""
    norm.shift = shift

    def measure(norm: nn.BatchNorm2d, inputs: tuple[Tensor]) -> None:
        variance, mean = torch.var_mean(inputs[0], (0, 2, 3))
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.data.copy_((variance + norm.eps).sqrt())
        norm.bias.data.copy_(norm.shift + mean)

    norm.hook = norm.register_forward_pre_hook(measure)

"""Versions of the installed packages that an artifact or a benchmark figure may depend on."""

from __future__ import annotations

import importlib.metadata

PACKAGES = (
    *("edgefs", "numpy", "onnxruntime", "onnxruntime-gpu", "openvino", "opencv-python-headless", "opencv-python"),
    *("tensorrt", "tensorrt_rtx", "torch", "torchvision", "onnx", "onnxscript", "nncf"),
)


def installed() -> dict[str, str]:
    """Return the version of each of PACKAGES that is installed. The metadata is read; nothing is imported."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found

"""What a figure or an artefact was made with: the installed packages that it may depend on."""

from __future__ import annotations

import importlib.metadata

PACKAGES = (
    *("edgefs", "numpy", "onnxruntime", "onnxruntime-gpu", "openvino", "opencv-python-headless", "opencv-python"),
    *("tensorrt", "tensorrt_rtx", "torch", "torchvision", "onnx", "onnxscript", "nncf"),
)


def installed() -> dict[str, str]:
    """Those of PACKAGES that are here, package -> version, from their metadata: nothing is imported."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found

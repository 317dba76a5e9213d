"""Find the contract of an ONNX file that edgefs wrote, so that a model.onnx taken out of a bundle is read as it is.

Such a file takes uint8 BGR frames and ends in the final embedding. Its metadata, or the manifest of the bundle that it
lies in, states the preprocessing and the metric; without them its channels would be taken for RGB.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import onnx

from exporters.errors import SourceError
from runtime.bundle import Bundle
from runtime.errors import BundleError
from runtime.preprocess import Preprocess


def contract_of(model: onnx.ModelProto, path: Path, digest: str) -> tuple[Preprocess, str] | None:
    """Return the preprocessing and the metric that edgefs stored for a file; None for a file of someone else.

    Args:
        model: The file's content.
        path: Where it lies.
        digest: Its sha256.

    Raises:
        SourceError: The stored contract is damaged.
    """
    manifest = path.parent / "manifest.json"
    try:
        if path.name == "model.onnx" and manifest.is_file():
            bundle = Bundle.load(path.parent)
            if hashlib.sha256(bundle.read(path.name)).hexdigest() == digest:
                return bundle.preprocess, bundle.metric
        stored = {entry.key: entry.value for entry in model.metadata_props}
        if "edgefs.preprocess" not in stored:
            return None
        return Preprocess.from_json(json.loads(stored["edgefs.preprocess"])), stored["edgefs.metric"]
    except (BundleError, ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"{path} must hold the contract that edgefs stored with it, but it is damaged: {error}; export it again"
        ) from error

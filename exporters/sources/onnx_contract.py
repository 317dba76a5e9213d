"""Find the contract of an ONNX file that edgefs wrote, so that a model.onnx taken out of a bundle is read as it is.

Such a file takes uint8 BGR frames and ends in the final embedding. Its metadata, or the manifest of the bundle that it
lies in, states the preprocessing and the metric; without them its channels would be taken for RGB.
"""

from __future__ import annotations

import json
from pathlib import Path

import onnx

from exporters.errors import SourceError
from runtime.bundle import Bundle
from runtime.bundle.manifest import FORMAT
from runtime.errors import BundleError
from runtime.preprocess import Preprocess

DEPTH = 3  # folders from a file in a bundle to the bundle, at most


def contract_of(model: onnx.ModelProto, path: Path, digest: str) -> tuple[Preprocess, str] | None:
    """Return the preprocessing and the metric that edgefs stored for a file; None for a file of someone else.

    Args:
        model: The file's content.
        path: Where it lies.
        digest: Its sha256.

    Raises:
        SourceError: The stored contract is damaged.
    """
    try:
        if bundle := _bundle_with(path, digest):
            return bundle.preprocess, bundle.metric
        stored = {entry.key: entry.value for entry in model.metadata_props}
        if "edgefs.preprocess" not in stored:
            return None
        return Preprocess.from_json(json.loads(stored["edgefs.preprocess"])), stored["edgefs.metric"]
    except (BundleError, ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"{path} must hold the contract that edgefs stored with it, but it is damaged: {error}; export it again"
        ) from error


def _bundle_with(path: Path, digest: str) -> Bundle | None:
    """Return the bundle that holds this file, as model.onnx or in a folder such as onnx/int8. Raises BundleError."""
    for folder in path.absolute().parents[:DEPTH]:
        if not _is_bundle(folder / "manifest.json"):
            continue
        bundle = Bundle.load(folder)
        name = path.absolute().relative_to(folder).as_posix()
        if bundle.manifest["files"].get(name, {}).get("sha256") == digest:
            return bundle
    return None


def _is_bundle(manifest: Path) -> bool:
    """Many programs have a file of this name."""
    try:
        stored = json.loads(manifest.read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(stored, dict) and stored.get("format") == FORMAT

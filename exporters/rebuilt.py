"""A bundle again, with some of its parts changed. Torch is not needed."""

from __future__ import annotations

from typing import Any

from runtime.bundle import Bundle
from runtime.bundle.manifest import COHORT, GOLDEN_EMBEDDINGS, GOLDEN_FRAMES

BUILT = {"model.onnx", GOLDEN_FRAMES, GOLDEN_EMBEDDINGS, COHORT}  # files that `Bundle.build` writes itself


def rebuilt(bundle: Bundle, **changes: Any) -> Bundle:
    """Build a bundle again.

    Args:
        bundle: The bundle.
        changes: Arguments of `Bundle.build` that are to be other than those of the bundle.

    Raises:
        BundleError: `Bundle.load` would refuse the new bundle, or a file of the old one is damaged.
    """
    (first, *others), (frames, embeddings) = bundle.artifacts, bundle.golden()
    parts = {
        "name": bundle.name,
        "description": bundle.manifest["description"],
        "preprocess": bundle.preprocess,
        "metric": bundle.metric,
        "model": bundle.read("model.onnx"),
        "golden_frames": frames,
        "golden_embeddings": embeddings,
        "precision": first.precision,
        "extra": extra_files(bundle),
        "artifacts": tuple(others),
        "calibration": bundle.manifest["calibration"],
        "cohort": bundle.cohort() if COHORT in bundle.manifest["files"] else None,
        "provenance": bundle.manifest["provenance"],
    }
    return Bundle.build(**(parts | changes))


def extra_files(bundle: Bundle) -> dict[str, bytes]:
    """The files that `Bundle.build` takes as `extra`: path in the bundle -> contents."""
    return {name: bundle.read(name) for name in bundle.manifest["files"] if name not in BUILT}

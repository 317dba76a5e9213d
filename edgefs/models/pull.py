"""Build a rung of the ladder on this computer: from the weights of its package to a verified bundle in the cache."""

from __future__ import annotations

from collections.abc import Callable

from edgefs.errors import PackageMissing
from edgefs.models.cards import calibration_of, card_text, cohort_of
from edgefs.models.ladder import Rung
from edgefs.models.store import INSTALL, pulled_path
from exporters.rebuilt import extra_files, rebuilt
from runtime.bundle import Bundle

CARD = "MODEL_CARD.md"
# Beside model.onnx. int8 for ONNX Runtime is not built: on shop photographs it loses up to 1.3 points (one shot).
TARGETS, PRECISIONS = ("openvino",), ("fp32", "int8")


def pull(rung: Rung, *, progress: Callable[[str], object] = str) -> Bundle:
    """Build the bundle of a rung, verify it, and put it into the cache in place of an older one.

    Args:
        rung: The rung.
        progress: Called with a description of each step as it begins.

    Raises:
        PackageMissing: A package is not installed; the message has the install line.
        ExportError: The weights are not the expected ones, or a gate failed.
        BundleError: The cache cannot be written, or the golden frames do not come out as expected.
    """
    progress(f"build {rung.name}")
    bundle = build(rung, progress=progress).save(pulled_path(rung.name), overwrite=True)
    progress("verify")
    bundle.verify()
    return bundle


def build(rung: Rung, *, progress: Callable[[str], object] = str) -> Bundle:
    """Build the bundle of a rung in memory. Raises as `pull` does."""
    try:
        from edgefs.models.network import rung_source
        from exporters.pipeline import export
        from exporters.sources.pictures import verification_pictures
        from exporters.targets.request import Request
    except ModuleNotFoundError as error:
        raise PackageMissing(
            f"The model {rung.name} needs {error.name}, which is not installed. Do: {INSTALL}"
        ) from error
    source = rung_source(rung)
    pictures = verification_pictures(None, source.preprocess)
    request = Request(targets=TARGETS, precisions=PRECISIONS, calibration=pictures)
    exported = export(source, request, pictures, progress=progress)
    return _with_table(exported.bundle, rung)


def _with_table(bundle: Bundle, rung: Rung) -> Bundle:
    """Add the calibration table and the model card; the model and so the fingerprint stay as they are."""
    return rebuilt(
        bundle,
        name=rung.name,
        description=f"{rung.title}, a model of edgefs's ladder",
        extra={CARD: card_text(rung.name).encode(), **extra_files(bundle)},
        calibration=calibration_of(rung.name),
        cohort=cohort_of(rung.name),
        provenance={**bundle.manifest["provenance"], "licence": rung.licence},
    )

"""manifest.json of a bundle, formats 1 and 2: its constants and checks. The format is described in docs/bundle.md."""

from __future__ import annotations

import hashlib
import json
import logging
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from runtime.bundle.files import MAX_FILES
from runtime.errors import BundleCorrupt, BundleError, BundleUnsupported
from runtime.preprocess import Preprocess
from runtime.signing import SIGNATURE

FORMAT, VERSION = "edgefs-bundle", 2
WITHOUT_DIGEST = 1  # the version whose manifest has no digest of its own
METRICS = ("cosine", "euclidean")
MAX_MANIFEST_BYTES = 4_000_000
MAX_BYTES = 2_000_000_000  # of all files together; one ONNX file cannot be larger anyway
MAX_DIM = 65_536
GOLDEN_FRAMES, GOLDEN_EMBEDDINGS = "golden/frames.npy", "golden/embeddings.npy"
COHORT = "cohort.npy"
CALIBRATION = 2  # version of the calibration table


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Artifact:
    """A model file of a bundle that an engine can run.

    Attributes:
        target: "onnx", "openvino", "tensorrt" or "tensorrt-rtx".
        precision: "fp32", "fp16" or "int8".
        file: Its path in the bundle.
        min_cosine: The cosine that its golden embeddings must reach.
    """

    target: str
    precision: str
    file: str
    min_cosine: float = 0.999


def parse_manifest(data: bytes, where: str | Path) -> dict[str, Any]:
    """Read and check a manifest. Raises BundleCorrupt, or BundleUnsupported for another format version."""
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BundleCorrupt(
            f"{where} must hold a manifest.json, but it is not JSON ({error}); copy it again"
        ) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BundleCorrupt(
            f'{where} must hold a manifest.json of format "{FORMAT}", but it is something else; check the path'
        )
    if manifest.get("version") not in (WITHOUT_DIGEST, VERSION):
        raise BundleUnsupported(
            f"{where} must have bundle format {VERSION}, but has {manifest.get('version')!r}; pip install -U edgefs"
        )
    if manifest["version"] == WITHOUT_DIGEST:
        log.warning(
            "The manifest of %s has no digest, because an older edgefs wrote it, so damage to it may stay unnoticed. "
            "Do: edgefs bundle seal %s",
            where,
            where,
        )
    elif not _is_sealed(data, manifest.get("digest")):
        raise BundleCorrupt(
            f"{where}: manifest.json must match the digest in it, but is damaged or was edited; copy the bundle again"
        )
    for key, is_sound in _CHECKS.items():
        try:
            sound = is_sound(manifest)
        except BundleError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError):
            sound = False
        if not sound:
            raise BundleCorrupt(
                f"{where}: {key!r} of manifest.json must be as docs/bundle.md says, but is missing, malformed or "
                "contradicts the rest; copy or export the bundle again"
            )
    return manifest


def seal(manifest: Mapping[str, Any]) -> bytes:
    """Return the contents of manifest.json in the newest format, with the sha256 of all its other bytes as the digest.

    Sealing a sealed manifest gives the same bytes. Raises TypeError or ValueError for what is not plain JSON.
    """
    unsealed = {**{key: value for key, value in manifest.items() if key != "digest"}, "version": VERSION, "digest": ""}
    text = json.dumps(unsealed, indent=1, allow_nan=False).encode()
    empty = text.rindex(b'""')
    return text[: empty + 1] + sha256(text).encode() + text[empty + 1 :]


def _is_sealed(data: bytes, digest: object) -> bool:
    if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest, re.ASCII):
        return False
    before, _, after = data.rpartition(digest.encode())
    return sha256(before + after) == digest


def _sound_files(manifest: Mapping[str, Any]) -> bool:
    files = manifest["files"]
    return (
        {"model.onnx", GOLDEN_FRAMES, GOLDEN_EMBEDDINGS} <= files.keys()
        and len(files) <= MAX_FILES
        and all(_is_inside(name) and isinstance(entry["sha256"], str) for name, entry in files.items())
        and all(_is_whole(entry["bytes"], 0, sys.maxsize) for entry in files.values())
        and _is_small_enough(sum(entry["bytes"] for entry in files.values()))
    )


def _is_small_enough(total: int) -> bool:
    if total > MAX_BYTES:
        raise BundleCorrupt(
            f"the files of a bundle must have at most {MAX_BYTES:,} bytes together, but have {total:,}; copy it "
            "again, or export fewer targets or a smaller network"
        )
    return True


def _sound_artifacts(manifest: Mapping[str, Any]) -> bool:
    artifacts = [Artifact(**entry) for entry in manifest["artifacts"]]
    texts = [text for a in artifacts for text in (a.target, a.precision, a.file)]
    needed = {a.file for a in artifacts} | {weights_of(a.file) for a in artifacts if a.target == "openvino"}
    return (
        all(isinstance(text, str) for text in texts)
        and needed <= manifest["files"].keys()
        and all(0 < a.min_cosine <= 1 for a in artifacts)
    )


def _sound_calibration(manifest: Mapping[str, Any]) -> bool:
    calibration = manifest["calibration"]
    if calibration is None:
        return True
    if "version" not in calibration:  # the table of an older edgefs, which `Bundle.calibration` does not use
        return True
    sizes, rates = (np.asarray(calibration[key], np.float64) for key in ("sizes", "rates"))
    mean, excess = (np.asarray(calibration[key], np.float64) for key in ("mean", "excess"))
    limits = np.array([calibration["cap"], calibration["twin"]], np.float64)
    return (
        calibration["version"] == CALIBRATION
        and all(row.ndim == 1 and len(row) > 0 and row[0] > 0 and (np.diff(row) > 0).all() for row in (sizes, rates))
        and mean.shape == sizes.shape
        and excess.shape == (len(sizes), len(rates))
        and all(np.isfinite(values).all() for values in (sizes, rates, mean, excess, limits))
    )


# For each key of the manifest, the check that it is as docs/bundle.md says.
_CHECKS: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "name": lambda m: isinstance(m["name"], str),
    "preprocess": lambda m: bool(Preprocess.from_json(m["preprocess"])),
    "embedding": lambda m: m["embedding"]["metric"] in METRICS and _is_whole(m["embedding"]["dim"], 1, MAX_DIM),
    "files": _sound_files,
    "artifacts": _sound_artifacts,
    "calibration": _sound_calibration,
    "fingerprint": lambda m: m["fingerprint"] == fingerprint_of(m),
}


def fingerprint_of(manifest: Mapping[str, Any]) -> str:
    """Return sha256 (hex) of model, preprocessing and metric."""
    parts = [manifest["files"]["model.onnx"]["sha256"], manifest["preprocess"], manifest["embedding"]]
    return sha256(json.dumps(parts, sort_keys=True).encode())


def _is_inside(name: str) -> bool:
    """Return whether a name is a plain relative path on every system: no `..`, drive, backslash, NUL or surrogate."""
    plain = re.fullmatch(r"[\w.+-]+(/[\w.+-]+)*", name, re.ASCII) is not None
    return plain and not {".", ".."} & set(name.split("/")) and name not in ("manifest.json", SIGNATURE)


def _is_whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def weights_of(ir: str) -> str:
    """Return the path of the weights that belong to an OpenVINO IR."""
    return ir.removesuffix(".xml") + ".bin"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

"""The bundle: one model, its preprocessing contract, and golden frames to check it with. Format: docs/bundle.md.

Every file is read once, checked against its digest, and passed on as bytes, so what was checked is what runs.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runtime.bundle.files import directory_reader, from_npy, to_npy, write_files, zip_reader
from runtime.bundle.manifest import (
    COHORT,
    FORMAT,
    GOLDEN_EMBEDDINGS,
    GOLDEN_FRAMES,
    MAX_MANIFEST_BYTES,
    VERSION,
    Artifact,
    fingerprint_of,
    parse_manifest,
    seal,
    sha256,
    weights_of,
)
from runtime.bundle.onnx_cost import check_cost
from runtime.bundle.onnx_guard import check_onnx
from runtime.bundle.openvino_guard import check_ir
from runtime.durable import put_in_place, replaced
from runtime.errors import BundleCorrupt, BundleError, BundleMissing
from runtime.preprocess import Preprocess
from runtime.signing import MAX_SIGNATURE_BYTES, SIGNATURE, check_signature, sign

if TYPE_CHECKING:
    from runtime.engines import EngineInfo

__all__ = ["Artifact", "Bundle"]


@dataclass(frozen=True, eq=False)
class Bundle:
    """A checked bundle. Make one with `Bundle.load` or `Bundle.build`, not with the constructor."""

    manifest: Mapping[str, Any]
    path: Path | None
    _read: Callable[[str, int], bytes] = field(repr=False)
    signature: bytes | None = field(default=None, repr=False)

    @staticmethod
    def load(path: str | Path, *, trusted_keys: str | Path | None = None) -> Bundle:
        """Open a bundle directory or its .zip and check every file in it.

        Args:
            path: The directory or the .zip.
            trusted_keys: A folder of public keys, one of which must have signed the bundle; None to trust anyone.

        Raises:
            Untrusted: None of the trusted keys has signed it.
            BundleMissing: There is no bundle, or a file is missing.
            BundleCorrupt: A digest, a size or a number is wrong.
            BundleUnsupported: The format is newer, or the model uses a forbidden operator.
        """
        path = Path(path)
        try:
            if not path.exists() and replaced(path).exists():  # `save` was killed while it replaced a directory
                path = replaced(path)
            mode = path.stat().st_mode
        except (OSError, ValueError) as error:  # ValueError: the path contains NUL
            why = getattr(error, "strerror", None) or error
            raise BundleMissing(f"{path} must be a bundle directory or its .zip, but: {why}; check the path") from error
        if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
            raise BundleMissing(f"{path} must be a bundle directory or its .zip, but is neither; check the path")
        read = directory_reader(path) if stat.S_ISDIR(mode) else zip_reader(path)
        try:
            signature = read(SIGNATURE, MAX_SIGNATURE_BYTES)
        except BundleMissing:
            signature = None
        text = read("manifest.json", MAX_MANIFEST_BYTES)
        if trusted_keys is not None:
            check_signature("bundle", text, signature, Path(trusted_keys), str(path))
        bundle = Bundle(parse_manifest(text, path), path, read, signature)
        bundle._check_files()
        return bundle

    @staticmethod
    def build(
        *,
        name: str,
        description: str,
        preprocess: Preprocess,
        metric: str,
        model: bytes,
        golden_frames: NDArray[np.uint8],
        golden_embeddings: NDArray[np.float32],
        precision: str = "fp32",
        extra: Mapping[str, bytes] | None = None,
        artifacts: tuple[Artifact, ...] = (),
        calibration: Mapping[str, Any] | None = None,
        cohort: NDArray[np.float32] | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> Bundle:
        """Build a bundle in memory; `save` writes it.

        Args:
            name: Name of the bundle.
            description: One sentence for people.
            preprocess: The preprocessing contract.
            metric: "cosine" or "euclidean".
            model: Contents of the ONNX file.
            golden_frames: Engine inputs, `uint8 [G, H, W, C]`.
            golden_embeddings: The embeddings that the golden frames must give, `float32 [G, D]`.
            precision: Precision of model.onnx.
            extra: Further files, such as a model card or an OpenVINO IR: path in the bundle -> contents.
            artifacts: Those of the extra files that an engine can run.
            calibration: The table from which strangers are told; see docs/bundle.md.
            cohort: Embeddings of things that no gallery holds, `float32 [B, D]`; see `runtime/matching/acceptance.py`.
            provenance: How the bundle was made, as plain JSON.

        Raises:
            BundleError: `load` would refuse the bundle.
        """
        files = {
            "model.onnx": model,
            GOLDEN_FRAMES: to_npy(golden_frames),
            GOLDEN_EMBEDDINGS: to_npy(golden_embeddings),
            **({} if cohort is None else {COHORT: to_npy(cohort.astype(np.float16))}),
            **(extra or {}),
        }
        manifest: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "name": name,
            "description": description,
            "preprocess": preprocess.to_json(),
            "embedding": {"dim": int(golden_embeddings.shape[-1]), "metric": metric},
            "artifacts": [vars(a) for a in (Artifact("onnx", precision, "model.onnx"), *artifacts)],
            "calibration": calibration,
            "provenance": dict(provenance or {}),
            "files": {n: {"sha256": sha256(data), "bytes": len(data)} for n, data in sorted(files.items())},
        }
        manifest["fingerprint"] = fingerprint_of(manifest)
        try:
            text = seal(manifest)
        except (TypeError, ValueError) as error:
            raise BundleError(
                f"calibration and provenance of {name} must be plain JSON without NaN, but: {error}"
            ) from error
        bundle = Bundle(parse_manifest(text, name), None, lambda n, _: files[n])
        bundle._check_files()
        return bundle

    def read(self, name: str) -> bytes:
        """Return the contents of a file after checking its digest. Raises BundleMissing or BundleCorrupt."""
        entry = self.manifest["files"].get(name)
        if entry is None:
            raise BundleMissing(f"{name} must be listed in the manifest of {self.name}, but is not; export it again")
        data = self._read(name, entry["bytes"])
        if len(data) != entry["bytes"] or sha256(data) != entry["sha256"]:
            raise BundleCorrupt(
                f"{name} of {self.where} must match its sha256, but is damaged or was edited; copy the bundle again"
            )
        return data

    def verify(self) -> list[EngineInfo]:
        """Check every digest again, and run the golden frames on every installed engine.

        Returns:
            One entry for each engine and artifact that was checked.

        Raises:
            BundleError: A file is damaged.
            EngineError: An engine does not reproduce the golden frames.
            EngineMissing: No engine is installed.
        """
        from runtime.engines import verify_engines

        self._check_files()
        return verify_engines(self)

    def save(self, path: str | Path, *, overwrite: bool = False) -> Bundle:
        """Write the bundle. It replaces what is at `path` only when it is complete.

        Args:
            path: A directory, or a file if it ends in .zip.
            overwrite: Whether to replace an existing bundle. A folder of other things is never replaced.

        Returns:
            The saved bundle.

        Raises:
            BundleError: The path exists already or cannot be written; nothing was changed.
        """
        import tempfile  # imported here because opening a bundle does not need it and must be fast

        path = Path(path)
        if path.exists() and not overwrite:
            raise BundleError(
                f"{path} must be a new path, but it exists already; choose another name, or save with overwrite=True"
            )
        if path.is_dir() and any(path.iterdir()) and not (path / "manifest.json").is_file():
            raise BundleError(
                f"{path} must be a bundle to be overwritten, but has no manifest.json; choose another name"
            )
        files = {"manifest.json": seal(self.manifest)}
        files |= {name: self.read(name) for name in self.manifest["files"]}
        files |= {SIGNATURE: self.signature} if self.signature else {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as temporary:
                made = write_files(files, Path(temporary) / "new", zipped=path.suffix == ".zip")
                put_in_place(made, path)
        except OSError as error:
            raise BundleError(
                f"{path} cannot be written: {error.strerror or error}; free some space or choose a writable place"
            ) from error
        return Bundle.load(path)

    def signed(self, key: str | Path) -> Bundle:
        """Return the bundle with a signature, which `save` writes. Raises OptionError if the file is no private key."""
        return replace(self, signature=sign("bundle", seal(self.manifest), Path(key)))

    @property
    def name(self) -> str:
        return str(self.manifest["name"])

    @property
    def where(self) -> str:
        """Path of the bundle, or its name if it is only in memory."""
        return str(self.path or self.name)

    @property
    def fingerprint(self) -> str:
        """sha256 (hex) of model, preprocessing and metric. A gallery belongs to exactly one fingerprint."""
        return str(self.manifest["fingerprint"])

    @property
    def dim(self) -> int:
        return int(self.manifest["embedding"]["dim"])

    @property
    def metric(self) -> str:
        return str(self.manifest["embedding"]["metric"])

    @property
    def preprocess(self) -> Preprocess:
        return Preprocess.from_json(self.manifest["preprocess"])

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        return tuple(Artifact(**entry) for entry in self.manifest["artifacts"])

    @property
    def calibration(self) -> Mapping[str, Any] | None:
        """Return the table from which strangers are told; None if there is none, or only that of an older edgefs."""
        table: Mapping[str, Any] | None = self.manifest["calibration"]
        return table if table and "version" in table else None

    def golden(self) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Return the golden frames `uint8 [G, H, W, C]` and the embeddings `float32 [G, D]` that they must give."""
        frames, embeddings = (from_npy(self.read(name), name) for name in (GOLDEN_FRAMES, GOLDEN_EMBEDDINGS))
        fits = frames.shape[1:] == self.preprocess.shape and embeddings.shape == (len(frames), self.dim) and len(frames)
        if not fits or frames.dtype != np.uint8 or embeddings.dtype != np.float32 or not np.isfinite(embeddings).all():
            raise BundleCorrupt(
                f"golden frames must be uint8 [G, *{self.preprocess.shape}] with finite float32 [G, {self.dim}], but "
                f"are {frames.dtype} {frames.shape} with {embeddings.dtype} {embeddings.shape}; export the bundle again"
            )
        return frames, embeddings

    def cohort(self) -> NDArray[np.float32]:
        """Return the embeddings of things that no gallery holds, `float32 [B, D]`; B is 0 if the bundle has none."""
        if COHORT not in self.manifest["files"]:
            return np.zeros((0, self.dim), np.float32)
        rows = from_npy(self.read(COHORT), COHORT)
        if rows.ndim != 2 or rows.shape[1] != self.dim or rows.dtype != np.float16 or not np.isfinite(rows).all():
            raise BundleCorrupt(
                f"{COHORT} must be finite float16 [B, {self.dim}], but is {rows.dtype} {rows.shape}; pack it again"
            )
        return rows.astype(np.float32)

    def _check_files(self) -> None:
        targets = {artifact.file: artifact.target for artifact in self.artifacts}
        for name in self.manifest["files"]:
            data = self.read(name)
            if name.endswith(".onnx") or targets.get(name) == "onnx":
                check_onnx(data, name)
                check_cost(data, self.preprocess.shape, name)
            elif name.endswith(".xml") or targets.get(name) == "openvino":
                weights = weights_of(name)
                check_ir(
                    data, self.read(weights) if weights in self.manifest["files"] else b"", self.preprocess.shape, name
                )
        self.golden()
        self.cohort()

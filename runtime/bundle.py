"""The bundle: one model, how to feed it, and the proof that it still answers as it did. Format: docs/bundle.md.

Whatever is read is read once, checked against its digest, and handed on as bytes: what was checked is what runs.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import BundleCorrupt, BundleError, BundleMissing, BundleUnsupported
from runtime.onnx_guard import check_onnx
from runtime.preprocess import Preprocess

if TYPE_CHECKING:
    from runtime.engines import EngineInfo

FORMAT, VERSION = "edgefs-bundle", 1
METRICS = ("cosine", "euclidean")
MAX_MANIFEST_BYTES = 4_000_000
GOLDEN_FRAMES, GOLDEN_EMBEDDINGS = "golden/frames.npy", "golden/embeddings.npy"


@dataclass(frozen=True)
class Artifact:
    """One file an engine can run.  target: "onnx" or "openvino".  min_cosine: what its golden frames must reach."""

    target: str
    precision: str
    file: str
    min_cosine: float = 0.999


@dataclass(frozen=True, eq=False)
class Bundle:
    """A checked bundle. Make one with `Bundle.load` or `Bundle.build`, never directly."""

    manifest: Mapping[str, Any]
    path: Path | None
    _read: Callable[[str, int], bytes] = field(repr=False)

    @staticmethod
    def load(path: str | Path) -> Bundle:
        """Open a bundle directory or its .zip and check every file in it.

        Raises BundleMissing, BundleCorrupt (digest, size, NaN weights, …) or BundleUnsupported (newer, forbidden operator).
        """
        path = Path(path)
        if path.is_dir():
            read = _directory_reader(path)
        elif path.is_file():
            read = _zip_reader(path)
        else:
            raise BundleMissing(f"{path} must be a bundle directory or its .zip, but nothing is there; check the path")
        bundle = Bundle(_parse_manifest(read("manifest.json", -1), path), path, read)
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
        provenance: Mapping[str, Any] | None = None,
    ) -> Bundle:
        """Put a bundle together in memory; `save` writes it.

        model: the ONNX file.  golden_frames: `uint8 [G, H, W, C]` engine inputs.  golden_embeddings: `float32 [G, D]`.
        extra: further files (model card, OpenVINO IR); artifacts: those of them an engine can run.
        """
        files = {
            "model.onnx": model,
            GOLDEN_FRAMES: _npy(golden_frames),
            GOLDEN_EMBEDDINGS: _npy(golden_embeddings),
            **(extra or {}),
        }
        manifest: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "name": name,
            "description": description,
            "preprocess": preprocess.to_json(),
            "embedding": {"dim": int(golden_embeddings.shape[1]), "metric": metric},
            "artifacts": [vars(a) for a in (Artifact("onnx", precision, "model.onnx"), *artifacts)],
            "calibration": calibration,
            "provenance": dict(provenance or {}),
            "files": {n: {"sha256": _sha256(data), "bytes": len(data)} for n, data in sorted(files.items())},
        }
        manifest["fingerprint"] = _fingerprint(manifest)
        bundle = Bundle(_parse_manifest(json.dumps(manifest).encode(), "bundle"), None, lambda n, _: files[n])
        bundle._check_files()
        return bundle

    def read(self, name: str) -> bytes:
        """Return a file's bytes, checked against the manifest just now. Raises BundleMissing or BundleCorrupt."""
        entry = self.manifest["files"].get(name)
        if entry is None:
            raise BundleMissing(f"{name} must be listed in the manifest of {self.name}, but is not; export it again")
        data = self._read(name, entry["bytes"])
        if len(data) != entry["bytes"] or _sha256(data) != entry["sha256"]:
            raise BundleCorrupt(f"{name} of {self.where} does not fit its sha256: it is damaged or was edited; copy the bundle again")
        return data

    def verify(self) -> list[EngineInfo]:
        """Check every digest again and run the golden frames on every engine installed here; return what was checked.

        Raises BundleError or EngineError; EngineMissing when no engine is installed.
        """
        from runtime.engines import verify_engines

        self._check_files()
        return verify_engines(self)

    def save(self, path: str | Path, *, overwrite: bool = False) -> Bundle:
        """Write a directory, or one file when path ends in .zip; aside first, then renamed: never half a bundle.

        Returns the saved bundle. Raises BundleError when something is there (unless overwrite) or cannot be written.
        """
        path = Path(path)
        if path.exists() and not overwrite:
            raise BundleError(f"{path} exists already; choose another name, or overwrite it on purpose")
        files = {"manifest.json": json.dumps(self.manifest, indent=1).encode()}
        files |= {name: self.read(name) for name in self.manifest["files"]}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
        except OSError as error:
            raise BundleError(f"{path} cannot be written: {error.strerror}; choose a writable place") from error
        try:
            made = _write(files, aside / "new", zipped=path.suffix == ".zip")
            if path.exists():
                path.rename(aside / "old")
            made.rename(path)
        except OSError as error:
            raise BundleError(f"{path} cannot be written: {error.strerror}; free some space or choose another place") from error
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return Bundle.load(path)

    @property
    def name(self) -> str:
        return str(self.manifest["name"])

    @property
    def where(self) -> str:
        """The path, or the name of a bundle that is only in memory."""
        return str(self.path or self.name)

    @property
    def fingerprint(self) -> str:
        """sha256 hex over model and preprocessing: a gallery belongs to exactly one."""
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
        return self.manifest["calibration"]  # type: ignore[no-any-return]

    def golden(self) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Golden frames `uint8 [G, H, W, C]` and the embeddings `float32 [G, D]` they must give."""
        frames, embeddings = (_load_npy(self.read(name), name) for name in (GOLDEN_FRAMES, GOLDEN_EMBEDDINGS))
        fits = frames.shape[1:] == self.preprocess.shape and embeddings.shape == (len(frames), self.dim) and len(frames)
        if not fits or frames.dtype != np.uint8 or embeddings.dtype != np.float32:
            raise BundleCorrupt(
                f"golden frames must be uint8 [G, {self.preprocess.shape}] with float32 [G, {self.dim}] embeddings, but are "
                f"{frames.dtype} {frames.shape} with {embeddings.dtype} {embeddings.shape}; export the bundle again"
            )
        return frames, embeddings

    def _check_files(self) -> None:
        for name in self.manifest["files"]:
            data = self.read(name)
            if name.endswith(".onnx"):
                check_onnx(data, name)
        self.golden()


def _parse_manifest(data: bytes, where: str | Path) -> dict[str, Any]:
    try:
        manifest = json.loads(data)
        if manifest["format"] != FORMAT:
            raise KeyError("format")
    except (ValueError, KeyError, TypeError) as error:
        raise BundleCorrupt(f"{where} must hold a manifest.json of an edgefs bundle, but it does not ({error})") from error
    if manifest.get("version") != VERSION:
        raise BundleUnsupported(
            f"{where} has bundle format {manifest.get('version')}, this edgefs reads format {VERSION}; pip install -U edgefs"
        )
    try:
        sound = (
            isinstance(manifest["name"], str)
            and manifest["embedding"]["metric"] in METRICS
            and int(manifest["embedding"]["dim"]) > 0
            and all(_is_inside(name) and entry["bytes"] >= 0 for name, entry in manifest["files"].items())
            and all(Artifact(**entry).file in manifest["files"] for entry in manifest["artifacts"])
            and {"model.onnx", GOLDEN_FRAMES, GOLDEN_EMBEDDINGS} <= manifest["files"].keys()
            and manifest["fingerprint"] == _fingerprint(manifest)
            and "calibration" in manifest
        )
        Preprocess.from_json(manifest["preprocess"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleCorrupt(f"{where}: the manifest lacks or garbles {error}; export the bundle again") from error
    if not sound:
        raise BundleCorrupt(f"{where}: the manifest contradicts itself (files, metric or fingerprint); export the bundle again")
    return manifest  # type: ignore[no-any-return]


def _fingerprint(manifest: Mapping[str, Any]) -> str:
    parts = [manifest["files"]["model.onnx"]["sha256"], manifest["preprocess"], manifest["embedding"]]
    return _sha256(json.dumps(parts, sort_keys=True).encode())


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in name and name == str(path)


def _directory_reader(root: Path) -> Callable[[str, int], bytes]:
    def read(name: str, size: int) -> bytes:
        path = root / name
        try:
            if path.resolve() != root.resolve() / name:
                raise BundleCorrupt(f"{path} must be a regular file in the bundle, but is a link; copy the bundle again")
            with path.open("rb") as file:
                info = os.fstat(file.fileno())
                limit = MAX_MANIFEST_BYTES if size < 0 else size
                if not stat.S_ISREG(info.st_mode) or info.st_size > limit:
                    raise BundleCorrupt(f"{path} must be a regular file of {limit:,} bytes, but has {info.st_size:,}")
                return file.read()
        except OSError as error:
            raise BundleMissing(f"{path} must be readable, but: {error.strerror}; copy the bundle again") from error

    return read


def _zip_reader(path: Path) -> Callable[[str, int], bytes]:
    def read(name: str, size: int) -> bytes:
        limit = MAX_MANIFEST_BYTES if size < 0 else size
        try:
            with zipfile.ZipFile(path) as archive, archive.open(_zip_root(archive) + name) as member:
                return member.read(limit + 1)  # one more than declared: a bomb is cut off, and then fails its digest
        except KeyError as error:
            raise BundleMissing(f"{name} must be in {path}, but is not; copy the bundle again") from error
        except (OSError, zipfile.BadZipFile, zipfile.zlib.error, NotImplementedError, RuntimeError) as error:  # type: ignore[attr-defined]
            raise BundleCorrupt(f"{path} must be the zip of a bundle, but cannot be read ({error}); copy it again") from error

    return read


def _zip_root(archive: zipfile.ZipFile) -> str:
    """The folder the files lie in: people zip the directory itself as often as what is in it."""
    roots = [name.removesuffix("manifest.json") for name in archive.namelist() if PurePosixPath(name).name == "manifest.json"]
    return min(roots, key=len, default="")


def _write(files: Mapping[str, bytes], target: Path, *, zipped: bool) -> Path:
    if zipped:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)  # ZipInfo: no clock in the file
    else:
        for name, data in files.items():
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return target


def _npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _load_npy(data: bytes, name: str) -> NDArray[Any]:
    try:
        return np.load(io.BytesIO(data), allow_pickle=False)  # type: ignore[no-any-return]
    except (ValueError, EOFError) as error:
        raise BundleCorrupt(f"{name} must be a plain .npy array ({error}); export the bundle again") from error


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

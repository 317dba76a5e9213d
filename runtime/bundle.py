"""The bundle: one model, how to feed it, and the proof that it still answers as it did. Format: docs/bundle.md.

Whatever is read is read once, checked against its digest, and handed on as bytes: what was checked is what runs.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
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
from runtime.ir_guard import check_ir
from runtime.onnx_guard import check_onnx
from runtime.preprocess import Preprocess

if TYPE_CHECKING:
    from runtime.engines import EngineInfo

FORMAT, VERSION = "edgefs-bundle", 1
METRICS = ("cosine", "euclidean")
MAX_MANIFEST_BYTES = 4_000_000
MAX_BYTES = 2_000_000_000  # of all files together; one ONNX file cannot be larger anyway
MAX_DIM = 65_536
GOLDEN_FRAMES, GOLDEN_EMBEDDINGS = "golden/frames.npy", "golden/embeddings.npy"
BACKGROUND = "background.npy"


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

        Raises BundleMissing, BundleCorrupt (digest, size, NaN, …) or BundleUnsupported (newer, forbidden operator).
        """
        path = Path(path)
        try:
            mode = path.stat().st_mode
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            why = getattr(error, "strerror", None) or error
            raise BundleMissing(f"{path} must be a bundle directory or its .zip, but: {why}; check the path") from error
        if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
            raise BundleMissing(f"{path} must be a bundle directory or its .zip, but is neither; check the path")
        read = _directory_reader(path) if stat.S_ISDIR(mode) else _zip_reader(path)
        bundle = Bundle(_parse_manifest(read("manifest.json", MAX_MANIFEST_BYTES), path), path, read)
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
        background: NDArray[np.float32] | None = None,
        provenance: Mapping[str, Any] | None = None,
    ) -> Bundle:
        """Put a bundle together in memory; `save` writes it.

        model: the ONNX file.  golden_frames: `uint8 [G, H, W, C]` engine inputs.  golden_embeddings: `float32 [G, D]`.
        background: `float32 [B, D]`, prototypes of base classes: what things look like that were never taught.
        extra: further files (model card, OpenVINO IR); artifacts: those of them an engine can run.
        Raises BundleError for whatever `load` would refuse.
        """
        files = {
            "model.onnx": model,
            GOLDEN_FRAMES: _npy(golden_frames),
            GOLDEN_EMBEDDINGS: _npy(golden_embeddings),
            **({} if background is None else {BACKGROUND: _npy(background.astype(np.float16))}),
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
            "files": {n: {"sha256": _sha256(data), "bytes": len(data)} for n, data in sorted(files.items())},
        }
        manifest["fingerprint"] = _fingerprint(manifest)
        try:
            text = json.dumps(manifest, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            raise BundleError(
                f"calibration and provenance of {name} must be plain JSON without NaN, but: {error}"
            ) from error
        bundle = Bundle(_parse_manifest(text, name), None, lambda n, _: files[n])
        bundle._check_files()
        return bundle

    def read(self, name: str) -> bytes:
        """Return a file's bytes, checked against the manifest just now. Raises BundleMissing or BundleCorrupt."""
        entry = self.manifest["files"].get(name)
        if entry is None:
            raise BundleMissing(f"{name} must be listed in the manifest of {self.name}, but is not; export it again")
        data = self._read(name, entry["bytes"])
        if len(data) != entry["bytes"] or _sha256(data) != entry["sha256"]:
            raise BundleCorrupt(
                f"{name} of {self.where} does not fit its sha256: it is damaged or was edited; copy the bundle again"
            )
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

        overwrite replaces a bundle, never a folder of other things.  Returns the saved bundle.
        Raises BundleError when something is there (unless overwrite) or the system refuses; then what was there stays.
        """
        path = Path(path)
        if path.exists() and not overwrite:
            raise BundleError(f"{path} exists already; choose another name, or overwrite it on purpose")
        if path.is_dir() and any(path.iterdir()) and not (path / "manifest.json").is_file():
            raise BundleError(
                f"{path} must be a bundle to be overwritten, but has no manifest.json; choose another name"
            )
        files = {"manifest.json": json.dumps(self.manifest, indent=1).encode()}
        files |= {name: self.read(name) for name in self.manifest["files"]}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as aside:
                made = _write(files, Path(aside) / "new", zipped=path.suffix == ".zip")
                _put(made, path, Path(aside) / "old")
        except OSError as error:
            raise BundleError(
                f"{path} cannot be written: {error.strerror or error}; free some space or choose a writable place"
            ) from error
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
        if not fits or frames.dtype != np.uint8 or embeddings.dtype != np.float32 or not np.isfinite(embeddings).all():
            raise BundleCorrupt(
                f"golden frames must be uint8 [G, *{self.preprocess.shape}] with finite float32 [G, {self.dim}], but "
                f"are {frames.dtype} {frames.shape} with {embeddings.dtype} {embeddings.shape}; export the bundle again"
            )
        return frames, embeddings

    def background(self) -> NDArray[np.float32]:
        """Prototypes of base classes, `float32 [B, D]`; B is 0 where the bundle has none."""
        if BACKGROUND not in self.manifest["files"]:
            return np.zeros((0, self.dim), np.float32)
        rows = _load_npy(self.read(BACKGROUND), BACKGROUND)
        if rows.ndim != 2 or rows.shape[1] != self.dim or rows.dtype != np.float16 or not np.isfinite(rows).all():
            raise BundleCorrupt(
                f"{BACKGROUND} must be finite float16 [B, {self.dim}], but is {rows.dtype} {rows.shape}; export it again"
            )
        return rows.astype(np.float32)

    def _check_files(self) -> None:
        targets = {artifact.file: artifact.target for artifact in self.artifacts}
        for name in self.manifest["files"]:
            data = self.read(name)
            if name.endswith(".onnx") or targets.get(name) == "onnx":
                check_onnx(data, name)
            elif name.endswith(".xml"):
                check_ir(data, name)
        self.golden()
        self.background()


def _parse_manifest(data: bytes, where: str | Path) -> dict[str, Any]:
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BundleCorrupt(
            f"{where} must hold a manifest.json, but it is not JSON ({error}); copy it again"
        ) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BundleCorrupt(
            f'{where} must hold a manifest.json of format "{FORMAT}", but it is another; check the path'
        )
    if manifest.get("version") != VERSION:
        raise BundleUnsupported(
            f"{where} must have bundle format {VERSION}, but has {manifest.get('version')!r}; pip install -U edgefs"
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


def _sound_files(manifest: Mapping[str, Any]) -> bool:
    files = manifest["files"]
    return (
        {"model.onnx", GOLDEN_FRAMES, GOLDEN_EMBEDDINGS} <= files.keys()
        and all(_is_inside(name) and isinstance(entry["sha256"], str) for name, entry in files.items())
        and all(_is_whole(entry["bytes"], 0, MAX_BYTES) for entry in files.values())
        and sum(entry["bytes"] for entry in files.values()) <= MAX_BYTES
    )


def _sound_artifacts(manifest: Mapping[str, Any]) -> bool:
    artifacts = [Artifact(**entry) for entry in manifest["artifacts"]]
    words = [word for a in artifacts for word in (a.target, a.precision, a.file)]
    needed = {a.file for a in artifacts} | {_weights_of(a.file) for a in artifacts if a.target == "openvino"}
    return (
        all(isinstance(word, str) for word in words)
        and needed <= manifest["files"].keys()
        and all(0 < a.min_cosine <= 1 for a in artifacts)
    )


def _sound_calibration(manifest: Mapping[str, Any]) -> bool:
    calibration = manifest["calibration"]
    if calibration is None:
        return True
    tables = [calibration[kind] for kind in ("genuine", "impostor")]
    rows = [np.asarray(scores, np.float64) for table in tables for scores in table.values()]
    return (
        all(n.isascii() and n.isdigit() and int(n) > 0 for table in tables for n in table)
        and 0 < calibration.get("within_variance", 1.0) < np.inf
        and all(len(table) > 0 for table in tables)
        and all(row.ndim == 1 and len(row) > 1 and np.isfinite(row).all() and (np.diff(row) >= 0).all() for row in rows)
    )


# Each key of the manifest, and whether it is as docs/bundle.md says.
_CHECKS: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "name": lambda m: isinstance(m["name"], str),
    "preprocess": lambda m: bool(Preprocess.from_json(m["preprocess"])),
    "embedding": lambda m: m["embedding"]["metric"] in METRICS and _is_whole(m["embedding"]["dim"], 1, MAX_DIM),
    "files": _sound_files,
    "artifacts": _sound_artifacts,
    "calibration": _sound_calibration,
    "fingerprint": lambda m: m["fingerprint"] == _fingerprint(m),
}


def _fingerprint(manifest: Mapping[str, Any]) -> str:
    parts = [manifest["files"]["model.onnx"]["sha256"], manifest["preprocess"], manifest["embedding"]]
    return _sha256(json.dumps(parts, sort_keys=True).encode())


def _is_inside(name: str) -> bool:
    """Whether a name is a plain relative path on every system: no `..`, drive, backslash, NUL, or surrogate."""
    plain = re.fullmatch(r"[\w.+-]+(/[\w.+-]+)*", name, re.ASCII) is not None
    return plain and not {".", ".."} & set(name.split("/")) and name != "manifest.json"


def _is_whole(value: object, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _weights_of(ir: str) -> str:
    return ir.removesuffix(".xml") + ".bin"


def _directory_reader(root: Path) -> Callable[[str, int], bytes]:
    def read(name: str, limit: int) -> bytes:
        path = root / name
        try:
            if Path(os.path.realpath(path)) != Path(os.path.realpath(root)) / name:
                raise BundleCorrupt(
                    f"{path} must be a regular file in the bundle, but is a link; copy the bundle again"
                )
            with open(path, "rb", opener=_open_at_once) as file:
                info = os.fstat(file.fileno())
                if not stat.S_ISREG(info.st_mode) or info.st_size > limit:
                    raise BundleCorrupt(
                        f"{path} must be a regular file of at most {limit:,} bytes, but is not "
                        f"({info.st_size:,} bytes); copy the bundle again"
                    )
                return file.read(limit + 1)
        except OSError as error:
            raise BundleMissing(
                f"{path} must be readable, but: {error.strerror or error}; copy the bundle again"
            ) from error

    return read


def _open_at_once(path: str, flags: int) -> int:
    """Open without waiting for the writer of a FIFO."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _zip_reader(path: Path) -> Callable[[str, int], bytes]:
    def read(name: str, limit: int) -> bytes:
        try:
            with zipfile.ZipFile(path) as archive:
                info = archive.getinfo(_zip_root(archive) + name)
                if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # only these inflate in steps
                    raise NotImplementedError(f"{name} is compressed by another method than deflate")
                with archive.open(info) as member:
                    return member.read(
                        limit + 1
                    )  # one more than declared: a bomb is cut off, and then fails its digest
        except KeyError as error:
            raise BundleMissing(f"{name} must be in {path}, but is not; copy the bundle again") from error
        except Exception as error:  # on damaged files zipfile raises a dozen kinds
            raise BundleCorrupt(
                f"{path} must be the zip of a bundle, but cannot be read ({error}); copy it again"
            ) from error

    return read


def _zip_root(archive: zipfile.ZipFile) -> str:
    """The folder the files lie in: people zip the directory itself as often as what is in it."""
    roots = [
        name.removesuffix("manifest.json") for name in archive.namelist() if PurePosixPath(name).name == "manifest.json"
    ]
    return min(roots, key=len, default="")


def _write(files: Mapping[str, bytes], target: Path, *, zipped: bool) -> Path:
    if zipped:
        with zipfile.ZipFile(target, "w") as archive:
            for name, data in files.items():
                info = zipfile.ZipInfo(name)  # no clock in the file
                info.external_attr = (stat.S_IFREG | 0o644) << 16  # else `unzip` makes files that nobody may read
                archive.writestr(info, data, zipfile.ZIP_DEFLATED)
        _sync(target)
        return target
    for name, data in files.items():
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        _sync(path)
    return target


def _sync(path: Path) -> None:
    """Have the bytes on the medium before the rename is: else a power loss leaves names of empty files."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _put(made: Path, path: Path, old: Path) -> None:
    """Rename into place. A file replaces a file at once; an old directory steps aside first, and back on failure."""
    if made.is_file() and not path.is_dir():
        made.replace(path)
        return
    if path.exists():
        path.rename(old)
    try:
        made.rename(path)
    except OSError:
        if old.exists():
            old.rename(path)
        raise


def _npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _load_npy(data: bytes, name: str) -> NDArray[Any]:
    """Read a version 1.0 .npy without trusting its header: np.load allocates whatever that announces."""
    try:
        stream = io.BytesIO(data)
        if np.lib.format.read_magic(stream) != (1, 0):
            raise ValueError("its version is not 1.0")
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        flat = np.frombuffer(data, dtype, offset=stream.tell())
        array: NDArray[Any] = flat.reshape(shape, order="F" if fortran else "C").copy()
        return array
    except Exception as error:  # numpy evaluates the header as Python, which fails in a dozen ways
        raise BundleCorrupt(f"{name} must be a plain .npy array ({error}); export the bundle again") from error


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()

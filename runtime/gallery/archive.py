"""A gallery as one file, to move it to another device.

The file is a zip without compression: JPEGs would not shrink, and an uncompressed zip cannot expand without limit. The
same gallery always gives the same bytes. Its members are:

    gallery.json     format, fingerprint, dim, sha256 of each member; for each shot its label, negative, burst, quality,
                     source, time_s and the name of its crop
    embeddings.npy   float32 [n, D], in the order of the shots
    crops/<n>.jpg    the crop of shot n, unless the gallery keeps no crops

The archive contains neither the history of changes nor damaged records.
"""

from __future__ import annotations

import io
import json
import math
import os
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from runtime.errors import GalleryCorrupt, GalleryMismatch, GalleryUnwritable, InvalidLabel, InvalidShot, UnknownLabel
from runtime.gallery.base import Gallery, NewShot, ShotRecord
from runtime.gallery.labels import clean_label

FORMAT = 1
EMBED_BATCH = 64  # crops in memory at a time
Embed = Callable[[list[bytes]], NDArray[np.float32]]  # JPEGs -> float32 [n, D]
_KEPT = ("label", "negative", "burst", "quality", "source", "time_s")
_F4 = np.dtype("<f4")


@dataclass(frozen=True)
class ImportSummary:
    """What `import_gallery` did. The counts include negative examples."""

    added: int
    skipped_duplicates: int
    per_class: dict[str, int]  # label -> number of shots added


@dataclass(frozen=True)
class _Entry:
    """One shot of an archive. Its crop is read when it is needed."""

    label: str
    negative: bool
    shot: NewShot
    crop: str | None  # name of the member; None if no crop was kept
    key: bytes  # equal for equal shots, see `_key`


def export_gallery(gallery: Gallery, path: str | Path) -> None:
    """Write all undamaged shots of a gallery to one file, which replaces an older file only when it is complete.

    Raises:
        GalleryUnwritable: The system refused; an older file is unchanged.
    """
    path = Path(path).absolute()
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as file:
            _write(gallery, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise GalleryUnwritable(
            f"{path} must be writable to hold the export, but: {error.strerror or error}. Choose another place."
        ) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def import_gallery(gallery: Gallery, path: str | Path, *, embed: Embed | None = None) -> ImportSummary:
    """Add the shots of an archive to a gallery as one operation, which `undo` takes back.

    Shots that the gallery already has are skipped. If an error is raised, nothing was changed.

    Args:
        gallery: The gallery to add to.
        path: The archive.
        embed: Embeds crops: JPEGs -> `float32 [n, D]`. It is needed only for an archive that another model filled.

    Raises:
        GalleryCorrupt: The archive is damaged.
        GalleryMismatch: Another model filled it, and `embed` or a crop is missing.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as members:
            return _import(gallery, _Archive(members, path), embed)
    except GalleryUnwritable:
        raise  # this is an OSError too, but it concerns the gallery and not the archive
    except OSError as error:
        raise _corrupt(path, f"it cannot be read: {error.strerror or error}") from error
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise _corrupt(path, f"its zip is broken: {error}") from error


def _write(gallery: Gallery, file: BinaryIO) -> None:
    # Shots come before negative examples, because the import can add those only to a class that exists.
    records = [
        record
        for label in gallery.classes
        for record in sorted(gallery.records(label), key=lambda r: (r.negative, r.id))
    ]
    digests: dict[str, str] = {}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as members:

        def put(name: str, data: bytes) -> None:
            digests[name] = sha256(data).hexdigest()
            members.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)

        matrix = io.BytesIO()
        np.save(matrix, np.array([record.embedding for record in records], _F4).reshape(-1, gallery.dim))
        put("embeddings.npy", matrix.getvalue())
        shots = []
        for number, record in enumerate(records):
            name = None
            if (crop := _sound_crop(gallery, record)) is not None:
                put(name := f"crops/{number}.jpg", crop)
            shots.append({key: getattr(record, key) for key in _KEPT} | {"crop": name})
        state = {"format": FORMAT, "fingerprint": gallery.fingerprint, "dim": gallery.dim}
        put("gallery.json", json.dumps(state | {"sha256": digests, "shots": shots}, ensure_ascii=False).encode())


def _sound_crop(gallery: Gallery, record: ShotRecord) -> bytes | None:
    try:
        return gallery.crop(record.id)
    except GalleryCorrupt:
        return None  # the embedding is undamaged


def _import(gallery: Gallery, archive: _Archive, embed: Embed | None) -> ImportSummary:
    known = {_record_key(record): label for label in gallery.classes for record in gallery.records(label)}
    # A class that was renamed in this gallery is found by the shots that both have.
    renamed = {entry.label: known[entry.key] for entry in archive.entries if entry.key in known}
    fresh = [
        entry if entry.label in gallery.classes else replace(entry, label=renamed.get(entry.label, entry.label))
        for entry in archive.entries
        if entry.key not in known
    ]
    if (archive.fingerprint, archive.dim) != (gallery.fingerprint, gallery.dim):
        fresh = archive.embedded(fresh, gallery, embed)
    for entry in fresh:
        archive.crop(entry)
    counts = Counter(entry.label for entry in fresh)
    if fresh:
        batch = ((entry.label, replace(entry.shot, crop=archive.crop(entry)), entry.negative) for entry in fresh)
        what = f"imported {len(fresh)} shots of {len(counts)} classes from {archive.path.name}"
        try:
            gallery.add_all(batch, what)
        except (InvalidShot, UnknownLabel) as error:
            raise _corrupt(archive.path, str(error)) from error
    return ImportSummary(len(fresh), len(archive.entries) - len(fresh), dict(counts))


class _Archive:
    """An opened archive. Everything in it was checked except the crops, which are checked when they are read."""

    def __init__(self, members: zipfile.ZipFile, path: Path) -> None:
        self.path, self._members = path, members
        infos = members.infolist()
        if any(info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 for info in infos):
            raise self._corrupt("it holds compressed or encrypted members; it was not written by export_gallery")
        if sum(info.file_size for info in infos) > path.stat().st_size or len({i.filename for i in infos}) < len(infos):
            raise self._corrupt("its members overlap")
        try:
            state: dict[str, Any] = json.loads(members.read("gallery.json"))
            version, self.fingerprint, self.dim = state["format"], state["fingerprint"], state["dim"]
            self._digests, shots = state["sha256"], state["shots"]
            sound = isinstance(self._digests, dict) and isinstance(shots, list) and isinstance(self.fingerprint, str)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise self._corrupt(f"gallery.json is missing or malformed ({error!r})") from error
        if type(version) is int and version > FORMAT:
            raise self._corrupt(f"it has the newer format {version}; upgrade edgefs")
        if not sound or version != FORMAT or type(self.dim) is not int or self.dim < 1:
            raise self._corrupt("gallery.json does not state format, fingerprint, dim, sha256 and shots")
        embeddings = self._embeddings(len(shots))
        self.entries = [self._entry(number, shot, embeddings[number]) for number, shot in enumerate(shots)]
        expected = {"gallery.json", "embeddings.npy"} | {entry.crop for entry in self.entries if entry.crop}
        if expected != {info.filename for info in infos}:
            raise self._corrupt("its members are not those that gallery.json names")

    def crop(self, entry: _Entry) -> bytes | None:
        """Read the crop of a shot and check its digest."""
        return None if entry.crop is None else self._member(entry.crop)

    def embedded(self, entries: Sequence[_Entry], gallery: Gallery, embed: Embed | None) -> list[_Entry]:
        """Embed entries again from their crops. Raises GalleryMismatch if that is not possible."""
        bare = sum(entry.crop is None for entry in entries)
        if embed is None or bare:
            way = (
                f"Shots can be embedded again from their crops, but {bare} of these {len(entries)} have none"
                if bare
                else "Embed its crops again: import_gallery(gallery, path, embed=…), or edgefs gallery import"
            )
            raise GalleryMismatch(
                f"{self.path} must be filled by the model of the gallery, {gallery.fingerprint[:12]}, but was filled "
                f"by {self.fingerprint[:12]}. {way}."
            )
        fresh: list[_Entry] = []
        for start in range(0, len(entries), EMBED_BATCH):
            batch = entries[start : start + EMBED_BATCH]
            rows = embed([crop for entry in batch if (crop := self.crop(entry)) is not None])
            if np.shape(rows) != (len(batch), gallery.dim):
                raise InvalidShot(f"embed must give shape {(len(batch), gallery.dim)}, but gave {np.shape(rows)}.")
            fresh += [replace(e, shot=replace(e.shot, embedding=row)) for e, row in zip(batch, rows, strict=True)]
        return fresh

    def _member(self, name: str) -> bytes:
        if name not in self._members.NameToInfo:
            raise self._corrupt(f"{name} is missing")
        data = self._members.read(name)  # names are looked up in the zip, never on disk
        if sha256(data).hexdigest() != self._digests.get(name):
            raise self._corrupt(f"{name} has another digest than gallery.json states")
        return data

    def _embeddings(self, count: int) -> NDArray[np.float32]:
        data = self._member("embeddings.npy")
        file = io.BytesIO(data)
        try:
            version = np.lib.format.read_magic(file)
            header = np.lib.format.read_array_header_1_0(file)
        except Exception as error:  # numpy parses the header as Python; what it raises is not documented
            raise self._corrupt(f"embeddings.npy has no readable header ({error})") from error
        shape, start = (count, self.dim), file.tell()
        if version != (1, 0) or header != (shape, False, _F4) or len(data) - start != 4 * count * self.dim:
            raise self._corrupt(f"embeddings.npy is not float32 with shape {shape}")
        matrix: NDArray[np.float32] = np.ndarray(shape, _F4, data, start)
        if not np.isfinite(matrix).all():
            raise self._corrupt("embeddings.npy holds NaN or infinity")
        return matrix

    def _entry(self, number: int, item: Any, embedding: NDArray[np.float32]) -> _Entry:
        try:
            label, negative, crop = clean_label(item["label"]), item["negative"], item["crop"]
            burst, quality, source, time_s = (item[key] for key in ("burst", "quality", "source", "time_s"))
        except (KeyError, TypeError, InvalidLabel) as error:
            raise self._corrupt(f"shot {number} is malformed ({error})") from error
        types = [type(value) for value in (negative, burst, quality, source, time_s)]
        if types != [bool, str, float, str, float] or not 0 <= quality <= 1 or not math.isfinite(time_s):
            raise self._corrupt(f"shot {number} is malformed")
        if crop not in (None, f"crops/{number}.jpg"):
            raise self._corrupt(f"shot {number} has a crop of another name")
        shot = NewShot(embedding, None, burst, quality, source, time_s)
        digest = None if crop is None else self._digests.get(crop)
        return _Entry(label, negative, shot, crop, _key(negative, shot, digest))

    def _corrupt(self, why: str) -> GalleryCorrupt:
        return _corrupt(self.path, why)


def _key(negative: bool, shot: NewShot | ShotRecord, crop_sha256: str | None) -> bytes:
    """Return the identity of a shot. The label is not part of it, as it can change, nor the embedding of a crop."""
    fields = repr((negative, shot.burst, shot.quality, shot.source, shot.time_s, crop_sha256))
    return sha256(fields.encode() + (b"" if crop_sha256 else shot.embedding.tobytes())).digest()


def _record_key(record: ShotRecord) -> bytes:
    return _key(record.negative, record, record.crop_sha256)


def _corrupt(path: Path, why: str) -> GalleryCorrupt:
    return GalleryCorrupt(f"{path} must be a sound gallery archive, but {why}. Export it again. Nothing was changed.")


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

"""Reads the archive of a gallery, and checks everything in it before it is used."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.errors import EdgefsError, FrameError, GalleryCorrupt, GalleryMismatch, InvalidLabel, InvalidShot
from runtime.gallery.base import Gallery, NewShot, ShotRecord
from runtime.gallery.labels import clean_label
from runtime.opencv import decode_image
from runtime.signing import SIGNATURE, check_signature

FORMAT = 1
EMBED_BATCH = 64  # crops in memory at a time
Embed = Callable[[list[bytes]], NDArray[np.float32]]  # JPEGs -> float32 [n, D]
_JPEG = b"\xff\xd8\xff"
MAX_CROP_BYTES = 32 << 20
MAX_TEXT_CHARS = 1000  # of a burst and of a source
LATEST_S = 253_402_300_799  # the end of the year 9999, in unix seconds
_F4 = np.dtype("<f4")


@dataclass(frozen=True)
class Entry:
    """One shot of an archive. Its crop is read when it is needed."""

    label: str
    negative: bool
    shot: NewShot
    crop: str | None  # name of the member; None if no crop was kept
    key: bytes  # equal for equal shots, see `shot_key`
    place: str  # where it is in the archive, for messages


class Archive:
    """An opened archive. Everything in it was checked except the crops, which are checked when they are read."""

    def __init__(self, members: zipfile.ZipFile, path: Path, trusted_keys: Path | None = None) -> None:
        self.path, self._members = path, members
        infos = members.infolist()
        if any(info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 for info in infos):
            raise self._corrupt("it holds compressed or encrypted members; it was not written by export_gallery")
        if sum(info.file_size for info in infos) > path.stat().st_size or len({i.filename for i in infos}) < len(infos):
            raise self._corrupt("its members overlap")
        try:
            text = members.read("gallery.json")
            if trusted_keys is not None:
                signature = members.read(SIGNATURE) if SIGNATURE in members.NameToInfo else None
                check_signature("gallery", text, signature, trusted_keys, str(path))
            state: dict[str, Any] = json.loads(text)
            version, self.fingerprint, self.dim = state["format"], state["fingerprint"], state["dim"]
            self._digests, shots = state["sha256"], state["shots"]
            sound = isinstance(self._digests, dict) and isinstance(shots, list) and isinstance(self.fingerprint, str)
        except EdgefsError:
            raise
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise self._corrupt(f"gallery.json is missing or malformed ({error!r})") from error
        if type(version) is int and version > FORMAT:
            raise self._corrupt(f"it has the newer format {version}; upgrade edgefs")
        if not sound or version != FORMAT or type(self.dim) is not int or self.dim < 1:
            raise self._corrupt("gallery.json does not state format, fingerprint, dim, sha256 and shots")
        self._one_line_each = text.count(b"\n") == len(shots) + 1  # as `export_gallery` writes them
        embeddings = self._embeddings(len(shots))
        self.entries = [self._entry(number, shot, embeddings[number]) for number, shot in enumerate(shots)]
        expected = {"gallery.json", "embeddings.npy"} | {entry.crop for entry in self.entries if entry.crop}
        if expected != {info.filename for info in infos} - {SIGNATURE}:
            raise self._corrupt("its members are not those that gallery.json names")

    def crop(self, entry: Entry) -> bytes | None:
        """Read the crop of a shot and check its digest."""
        return None if entry.crop is None else self._member(entry.crop)

    def require_picture(self, entry: Entry) -> None:
        """Raise GalleryCorrupt unless the crop of a shot is a JPEG that can be decoded."""
        crop = self.crop(entry)
        if crop is None:
            return
        if not crop.startswith(_JPEG) or len(crop) > MAX_CROP_BYTES:
            raise self._corrupt(f"the crop of {entry.place} is no JPEG of at most {MAX_CROP_BYTES:,} bytes")
        try:
            decode_image(crop, "it")
        except FrameError as error:
            raise self._corrupt(f"the crop of {entry.place} cannot be decoded: {error}") from error

    def embedded(self, entries: Sequence[Entry], gallery: Gallery, embed: Embed | None) -> list[Entry]:
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
        fresh: list[Entry] = []
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

    def _entry(self, number: int, item: Any, embedding: NDArray[np.float32]) -> Entry:
        place = f"shot {number}" + (f" (line {number + 2} of gallery.json)" if self._one_line_each else "")
        try:
            label, negative, crop = clean_label(item["label"]), item["negative"], item["crop"]
            burst, quality, source, time_s = (item[key] for key in ("burst", "quality", "source", "time_s"))
        except (KeyError, TypeError, InvalidLabel) as error:
            raise self._corrupt(f"{place} is malformed ({error})") from error
        types = [type(value) for value in (negative, burst, quality, source, time_s)]
        if types != [bool, str, float, str, float] or max(len(burst), len(source)) > MAX_TEXT_CHARS:
            raise self._corrupt(f"{place} is malformed")
        if not 0 <= quality <= 1 or not 0 <= time_s <= LATEST_S:
            raise self._corrupt(
                f"{place} has the quality {quality} and the time {time_s}, outside 0..1 or 0..{LATEST_S}"
            )
        if crop not in (None, f"crops/{number}.jpg"):
            raise self._corrupt(f"{place} has a crop of another name")
        shot = NewShot(embedding, None, burst, quality, source, time_s)
        digest = None if crop is None else self._digests.get(crop)
        return Entry(label, negative, shot, crop, shot_key(negative, shot, digest), place)

    def _corrupt(self, why: str) -> GalleryCorrupt:
        return corrupt(self.path, why)


def shot_key(negative: bool, shot: NewShot | ShotRecord, crop_sha256: str | None) -> bytes:
    """Return the identity of a shot. The label is not part of it, as it can change, nor the embedding of a crop."""
    fields = repr((negative, shot.burst, shot.quality, shot.source, shot.time_s, crop_sha256))
    return sha256(fields.encode() + (b"" if crop_sha256 else shot.embedding.tobytes())).digest()


def corrupt(path: Path, why: str) -> GalleryCorrupt:
    """Return the error for an archive that cannot be used."""
    return GalleryCorrupt(f"{path} must be a sound gallery archive, but {why}. Export it again. Nothing was changed.")

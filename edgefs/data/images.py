"""A labelled set of small images, decoded once into `uint8 [N, H, W, C]` and kept in a cache; large ones are mapped.

Images are prepared by `runtime.preprocess.Preprocess`, the code that a device runs, because a network that was trained
with another resampler is less accurate. Colour stays BGR, as cameras give it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefs.errors import DataCorrupt, DataError, DataMissing
from runtime.errors import CameraMissing, FrameError
from runtime.opencv import load_cv2, read_image
from runtime.pictures import pictures_below as find_pictures
from runtime.preprocess import Preprocess

CACHE = ".edgefs-cache"
CACHE_VERSION = 2  # another one when pictures are decoded to other pixels
MAPPED_BYTES = 1 << 29  # larger caches stay on disk and are paged in
POLICIES = ("fail", "skip")
SHOWN = 10  # bad files named in a message; all of them are in the error's `files`


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Decoded images with their labels.

    Attributes:
        images: `uint8 [N, H, W, C]`, BGR or grey.
        labels: `int64 [N]`, 0..len(classes) - 1.
        hashes: `uint8 [N, 16]`, BLAKE2 of the pixels of each image.
        skipped: Unreadable files that were left out.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    hashes: NDArray[np.uint8]
    preprocess: Preprocess
    skipped: tuple[str, ...] = field(default=())

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[NDArray[np.uint8], int]:
        """One image `uint8 [H, W, C]` and its label, as a map-style data set of torch."""
        return self.images[index], int(self.labels[index])

    def embedded(
        self, embed: Callable[[NDArray[np.uint8]], NDArray[np.float32]], *, at_once: int, rotations: int = 1
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Embed every image once per quarter turn.

        Args:
            embed: From images `uint8 [B, H, W, C]` to embeddings `float32 [B, D]`.
            at_once: Images handed to `embed` at once.
            rotations: How many quarter turns count as classes of their own.

        Returns:
            Embeddings `float32 [N·R, D]` and labels `int64 [N·R]` (R · class + turn), R being `rotations`.
        """
        found, labels = [], []
        for turn in range(rotations):
            for start in range(0, len(self), at_once):
                pixels = np.rot90(self.images[start : start + at_once], turn, axes=(1, 2))
                found.append(embed(np.ascontiguousarray(pixels)))
            labels.append(self.labels * rotations + turn)
        return np.concatenate(found), np.concatenate(labels)


def open_images(
    folders: Mapping[str, Sequence[Path]], preprocess: Preprocess, *, cache: Path | None, policy: str = "fail"
) -> ImageSet:
    """Decode the pictures of each class, or read the cache of an earlier call with the same files.

    Args:
        folders: Picture files of each class.
        cache: Folder for the decoded pixels; None keeps them in memory only.
        policy: "fail" raises DataCorrupt naming every unreadable file; "skip" leaves them out.
    """
    if policy not in POLICIES:
        raise DataError(f"policy for bad files must be one of {POLICIES}, but is {policy!r}")
    empty = [name for name, files in folders.items() if not files]
    if empty:
        raise DataError(
            f"every class must have at least one picture, but {len(empty)} have none: {empty[:SHOWN]}; fill them"
        )
    files = [path for paths in folders.values() for path in paths]
    labels = np.repeat(np.arange(len(folders), dtype=np.int64), [len(paths) for paths in folders.values()])
    images, hashes, bad = _cached(files, preprocess, cache)
    if bad and policy == "fail":
        error = DataCorrupt(_bad_files_message(bad, len(files)))
        error.files = bad  # type: ignore[attr-defined]
        raise error
    if bad:
        keep = np.array([str(path) not in bad for path in files])
        images, hashes, labels = images[keep], hashes[keep], labels[keep]
        gone = [name for i, name in enumerate(folders) if not (labels == i).any()]
        if gone:
            raise DataCorrupt(
                f"every class must keep a readable picture, but all of {gone[:SHOWN]} are unreadable; restore them"
            )
    return ImageSet(images, labels, tuple(folders), hashes, preprocess, tuple(bad))


def pictures_below(folder: Path) -> dict[str, list[Path]]:
    """The sorted pictures of each class folder below; a folder with nothing in it is an empty class.

    What is skipped is logged. Raises DataMissing.
    """
    if not folder.is_dir():
        raise DataMissing(
            f"{folder} must be a folder of class folders, but is not there; expected {folder}/<class>/*.png"
        )
    found = find_pictures(folder)
    for path in found.classes.pop(".", ()):
        found.skipped[path] = "picture without a class folder"
    if not found.classes:
        raise DataMissing(
            f"{folder} must hold class folders with pictures, but holds none; expected {folder}/<class>/*.png"
            f"\n{found.named()}".rstrip()
        )
    return found.tell().classes


def _bad_files_message(bad: dict[str, str], total: int) -> str:
    shown = "\n  ".join(f"{path}: {why}" for path, why in list(bad.items())[:SHOWN])
    more = f"\n  … and {len(bad) - SHOWN} more" if len(bad) > SHOWN else ""
    return (
        f"all {total} pictures must be readable, but {len(bad)} are not:\n  {shown}{more}\n"
        "restore them, or leave them out with --bad-files skip"
    )


def _cached(
    files: list[Path], preprocess: Preprocess, cache: Path | None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], dict[str, str]]:
    """The pixels, their hashes and the problems of unreadable files: from the cache, or decoded and then kept there.

    The index is written last, so an interrupted write is never taken for a cache. A read-only folder is no error.
    """
    if cache is None:
        images, bad = _decode(files, preprocess, None)
        return images, _hashes(images), bad
    stem = cache / _key(files, preprocess)
    pixels, digests, index = (stem.with_suffix(suffix) for suffix in (".npy", ".hash.npy", ".json"))
    if index.is_file():
        stored, hashes = _load(pixels, (len(files), *preprocess.shape)), _load(digests, (len(files), 16))
        if stored is not None and hashes is not None:
            return stored, hashes, json.loads(index.read_text())["bad"]
    images, bad = _decode(files, preprocess, pixels)
    hashes = _hashes(images)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        if isinstance(images, np.memmap):
            images.flush()
            _aside(pixels).replace(pixels)
        else:
            _save(pixels, lambda file: np.save(file, images))
        _save(digests, lambda file: np.save(file, hashes))
        facts = {"version": CACHE_VERSION, "preprocess": preprocess.to_json(), "bad": bad}
        _save(index, lambda file: file.write(json.dumps(facts).encode()))
    except OSError:
        pass
    return images, hashes, bad


def _key(files: list[Path], preprocess: Preprocess) -> str:
    """The name of a cache: it depends on the files, their sizes and dates, and on how pixels are prepared."""
    digest = hashlib.blake2b(json.dumps([CACHE_VERSION, asdict(preprocess)]).encode(), digest_size=12)
    for path in files:
        try:
            facts = path.stat()
            digest.update(f"{path}\0{facts.st_size}\0{facts.st_mtime_ns}\n".encode())
        except OSError:
            digest.update(f"{path}\0missing\n".encode())
    return digest.hexdigest()


def _decode(files: list[Path], preprocess: Preprocess, place: Path | None) -> tuple[NDArray[np.uint8], dict[str, str]]:
    shape = (len(files), *preprocess.shape)
    images: Any = np.zeros(shape, np.uint8)
    if place and images.nbytes > MAPPED_BYTES:
        place.parent.mkdir(parents=True, exist_ok=True)
        images = np.lib.format.open_memmap(_aside(place), "w+", np.uint8, shape)
    load_cv2()  # once, before the threads

    def one(index: int) -> str | None:
        try:
            preprocess(read_image(files[index]), images[index])
        except (FrameError, CameraMissing) as error:
            return str(error)
        return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # cv2 releases the interpreter while it decodes
        problems = list(pool.map(one, range(len(files))))
    return images, {str(path): why for path, why in zip(files, problems, strict=True) if why}


def _hashes(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    digests = [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images]
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 16)


def _load(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """A cached array; None when it is absent, cut short or of another shape."""
    try:
        array = np.load(path, mmap_mode="r" if path.stat().st_size > MAPPED_BYTES else None, allow_pickle=False)
    except (OSError, ValueError):
        return None
    return array if array.shape == shape and array.dtype == np.uint8 else None


def _save(path: Path, write: Callable[[Any], object]) -> None:
    with _aside(path).open("wb") as file:
        write(file)
    _aside(path).replace(path)


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.{os.getpid()}.part")

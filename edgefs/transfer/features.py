"""Features of a frozen network, computed once for each picture and kept in a cache.

A row of the cache belongs to the bytes of a picture file, not to its name or date: a renamed file is found, and only a
changed file is decoded and embedded again. Each network and each input contract has its own cache file.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgefs.data import DataSpec
from edgefs.data.images import CACHE_VERSION, open_images
from edgefs.errors import DataCorrupt
from edgefs.networks.embedder import embed_images

KEY_BYTES = 16
AT_ONCE = 512  # pictures decoded, embedded and forgotten again: bounds memory


@dataclass(frozen=True, eq=False)
class Features:
    """Features of picture files.

    Attributes:
        rows: `float32 [N, D]`, in the order of the files; the rows of unreadable files are zero.
        computed: How many were not in the cache.
        skipped: Unreadable files.
    """

    rows: NDArray[np.float32]
    computed: int
    skipped: tuple[str, ...]


def frozen_features(
    files: Sequence[Path], backbone: nn.Module, spec: DataSpec, *, cache: Path | None, policy: str = "fail",
    device: str = "cpu",
) -> Features:  # fmt: skip
    """Embed picture files with a network that does not change.

    Args:
        cache: Folder that features are kept in; None: nowhere.
        policy: "fail" raises DataCorrupt naming every unreadable file, "skip" leaves them out.
    """
    keys = _content_keys(files)
    path = cache / f"features-{_network_key(backbone, spec)}.npz" if cache else None
    known = _read(path) if path else {}
    missing = {key: file for key, file in zip(keys, files, strict=True) if key not in known}
    skipped: list[str] = []
    fresh = list(missing.items())
    for start in range(0, len(fresh), AT_ONCE):
        some = fresh[start : start + AT_ONCE]
        try:
            images = open_images({"all": [file for _, file in some]}, spec.preprocess, cache=None, policy=policy)
        except DataCorrupt:
            if policy == "fail":
                raise
            skipped += [str(file) for _, file in some]  # not one of them can be read
            continue
        gone = set(images.skipped)
        rows = embed_images(backbone, images, spec, device=device)[0]
        kept = [key for key, file in some if str(file) not in gone]
        known.update(zip(kept, rows, strict=True))
        skipped += images.skipped
    if path and missing:
        _write(path, known)
    nothing = np.zeros(next(iter(known.values())).shape if known else 0, np.float32)
    lost = {key for key, file in missing.items() if str(file) in set(skipped)}
    unreadable = tuple(str(file) for key, file in zip(keys, files, strict=True) if key in lost)
    return Features(np.stack([known.get(key, nothing) for key in keys]), len(missing) - len(lost), unreadable)


def _content_keys(files: Sequence[Path]) -> list[bytes]:
    def one(path: Path) -> bytes:
        try:
            data = path.read_bytes()
        except OSError:  # reported with its name by the decoder
            data = str(path).encode()
        return hashlib.blake2b(data, digest_size=KEY_BYTES).digest()

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(one, files))


def _network_key(backbone: nn.Module, spec: DataSpec) -> str:
    digest = hashlib.blake2b(digest_size=KEY_BYTES)
    digest.update(
        json.dumps([CACHE_VERSION, spec.preprocess.to_json(), spec.mean, spec.std, type(backbone).__name__]).encode()
    )
    for name, tensor in sorted(backbone.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _read(path: Path) -> dict[bytes, NDArray[np.float32]]:
    """The features in a cache file; none when it is absent or damaged."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            keys, rows = stored["keys"], stored["rows"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return {}
    if keys.ndim != 2 or keys.shape != (len(rows), KEY_BYTES) or not np.isfinite(rows).all():
        return {}
    return {key.tobytes(): row for key, row in zip(keys, rows, strict=True)}


def _write(path: Path, known: dict[bytes, NDArray[np.float32]]) -> None:
    """Write the cache file. Where that is not allowed, the next run computes the features again."""
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("wb") as file:
            np.savez(file, keys=np.frombuffer(b"".join(known), np.uint8).reshape(-1, KEY_BYTES), rows=[*known.values()])
        aside.replace(path)
    except OSError:
        aside.unlink(missing_ok=True)

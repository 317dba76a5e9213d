"""Publish a bundle for devices, and read what the devices report."""

from __future__ import annotations

import contextlib
import json
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

from runtime.bundle import Bundle
from runtime.errors import BundleCorrupt, OptionError
from runtime.rollout.folder import Folder, Unreachable
from runtime.rollout.index import MAX_BYTES, NAME, Index, Release, read_index

REPORTS = "reports"


def publish(bundle: Bundle, to: str, key: Path, share: float) -> Index:
    """Sign a bundle, copy it into a folder, and name it in the folder's index for a share of the devices.

    The other devices run what was published for all devices before. The same bundle with another share is published
    by another call.

    Args:
        bundle: The bundle.
        to: A path, or the address of an HTTP server that takes PUT.
        key: The private key.
        share: The share of the devices, 0..1.

    Raises:
        OptionError: The share is outside its range, or the file is no private key.
        BundleMissing: The folder cannot be written.
    """
    if not 0 <= share <= 1:
        raise OptionError(f"share must be in 0..1, but got {share}; 0.1 is every tenth device")
    folder = Folder(to)
    before = published(folder)
    with tempfile.TemporaryDirectory() as temporary:
        path = bundle.signed(key).save(Path(temporary) / "bundle.zip").path
        data = path.read_bytes()  # type: ignore[union-attr]
    release = Release(sha256(data).hexdigest(), len(data), bundle.name, bundle.fingerprint)
    serial = max(int(time.time()), before.serial + 1 if before else 1)  # the time, if an earlier index was lost
    index = Index(serial, share, release, _for_the_others(before, release))
    folder.write(release.file, data)
    folder.write(NAME, index.signed(key))
    return index


def published(folder: Folder) -> Index | None:
    """Return the index of a folder, signed by whomever; None if it has none that can be read."""
    with contextlib.suppress(Unreachable, BundleCorrupt):
        return read_index(folder.read(NAME, MAX_BYTES), folder.where, None)
    return None


def reports(folder: Folder) -> list[dict[str, Any]]:
    """Return what each device reported last. Anybody who can write the folder can have written it."""
    found = []
    for name in folder.names(REPORTS):
        with contextlib.suppress(Unreachable, ValueError, RecursionError):
            report = json.loads(folder.read(f"{REPORTS}/{name}", MAX_BYTES))
            found += [report] if isinstance(report, dict) else []
    return found


def _for_the_others(before: Index | None, release: Release) -> Release | None:
    if before is None:
        return None
    replaced = before.share >= 1 and before.release != release
    return before.release if replaced else before.previous

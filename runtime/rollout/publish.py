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
from runtime.rollout.index import MAX_BYTES, NAME, Index, Release, read_index
from runtime.rollout.opening import open_place
from runtime.rollout.place import Absent, Place

REPORTS = "reports"


def publish(bundle: Bundle, to: str, key: Path, share: float) -> Index:
    """Sign a bundle, copy it into a folder, and name it in the folder's index for a share of the devices.

    The other devices run what was published for all devices before. The same bundle with another share is published
    by another call.

    Args:
        bundle: The bundle.
        to: A path, the address of an HTTP server that takes PUT, or that of the database of a site.
        key: The private key.
        share: The share of the devices, 0..1.

    Raises:
        OptionError: The share is outside its range, or the file is no private key.
        BundleMissing: The folder cannot be read or written; or, in a database, somebody else published meanwhile.
        FleetMissing: The folder is a database, and psycopg is not installed.
    """
    if not 0 <= share <= 1:
        raise OptionError(f"share must be in 0..1, but got {share}; 0.1 is every tenth device")
    place = open_place(to)
    replaced, before = _read(place)
    with tempfile.TemporaryDirectory() as temporary:
        path = bundle.signed(key).save(Path(temporary) / "bundle.zip").path
        data = path.read_bytes()  # type: ignore[union-attr]
    release = Release(sha256(data).hexdigest(), len(data), bundle.name, bundle.fingerprint)
    serial = max(int(time.time()), before.serial + 1 if before else 1)  # the time, if an earlier index was lost
    index = Index(serial, share, release, _for_the_others(before, release))
    place.publish(index, index.signed(key), data, replaced)
    return index


def published(place: Place) -> Index | None:
    """Return the index of a place, signed by whomever; None if there is none that is sound. Raises Unreachable."""
    return _read(place)[1]


def reports(place: Place) -> list[dict[str, Any]]:
    """Return what each device reported last. Anybody who can write a folder can have written it; in the database of a
    site, whoever is registered under the name of the device. Raises Unreachable.
    """
    found = []
    for content in place.read_all(REPORTS, MAX_BYTES):
        with contextlib.suppress(ValueError, RecursionError):
            report = json.loads(content)
            found += [report] if isinstance(report, dict) else []
    return found


def _read(place: Place) -> tuple[bytes | None, Index | None]:
    """Return the file of the index, and what it says; None for what is absent or damaged."""
    content = None
    with contextlib.suppress(Absent, BundleCorrupt):
        content = place.read(NAME, MAX_BYTES)
        return content, read_index(content, place.where, None)
    return content, None


def _for_the_others(before: Index | None, release: Release) -> Release | None:
    if before is None:
        return None
    replaced = before.share >= 1 and before.release != release
    return before.release if replaced else before.previous

"""The index of a rollout: which bundle is new, for which share of the devices, and what the others run.

`rollout.json` has two lines, so that it is replaced as a whole: the index, and the signature of that line.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from runtime.errors import BundleCorrupt
from runtime.signing import check_signature, sign

NAME = "rollout.json"
KIND = "rollout"  # of the signature
MAX_BYTES = 65_536
MAX_BUNDLE_BYTES = 2 << 30
_FORMAT, _VERSION = "edgefs-rollout", 1


@dataclass(frozen=True)
class Release:
    """A published bundle.

    Attributes:
        sha256: Of its zip, in hexadecimal.
        bytes: Size of its zip.
        name: Name of the bundle.
        fingerprint: Fingerprint of the bundle.
    """

    sha256: str
    bytes: int
    name: str
    fingerprint: str

    @property
    def file(self) -> str:
        """Its path in the folder."""
        return f"bundles/{self.sha256}.edgefs.zip"


@dataclass(frozen=True)
class Index:
    """What is published.

    Attributes:
        serial: Number of the index; each one that is published has a higher number.
        share: The share of the devices that run `release`, 0..1.
        release: The new bundle.
        previous: What the other devices run; None for what each of them has.
    """

    serial: int
    share: float
    release: Release
    previous: Release | None = None

    def of(self, device: str) -> Release | None:
        """Return what a device should run; None for what it has. A greater share keeps the devices of a smaller one."""
        number = int.from_bytes(sha256(f"{self.release.sha256} {device}".encode()).digest()[:8], "big")
        return self.release if number < self.share * 2**64 else self.previous

    def signed(self, key: Path) -> bytes:
        """Return the file. Raises OptionError if `key` is no private key."""
        line = json.dumps({"format": _FORMAT, "version": _VERSION, **asdict(self)}).encode()
        signature = json.dumps(json.loads(sign(KIND, line, key))).encode()
        return line + b"\n" + signature + b"\n"


def read_index(content: bytes, where: str, trusted_keys: Path | None) -> Index:
    """Parse the file.

    Args:
        content: Of the file.
        where: Names it, for messages.
        trusted_keys: A folder of public keys, one of which must have signed it; None to trust anyone.

    Raises:
        Untrusted: None of the trusted keys has signed it.
        BundleCorrupt: It is no index, or that of a newer format.
    """
    line, _, signature = content.partition(b"\n")
    if trusted_keys is not None:
        check_signature(KIND, line, signature or None, trusted_keys, where)
    try:
        facts = json.loads(line)
        if (facts.pop("format"), facts.pop("version")) != (_FORMAT, _VERSION):
            raise ValueError("another format or version")
        index = Index(
            serial=_whole(facts["serial"], 1, 2**53),
            share=_share(facts["share"]),
            release=_release(facts["release"]),
            previous=None if facts["previous"] is None else _release(facts["previous"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BundleCorrupt(
            f"{where} must be an index that `edgefs rollout publish` of this version wrote, but: {error}; publish again"
        ) from error
    return index


def _release(facts: dict[str, Any]) -> Release:
    digests = [facts["sha256"], facts["fingerprint"]]
    if any(not isinstance(digest, str) or len(bytes.fromhex(digest)) != 32 for digest in digests):
        raise ValueError(f"no digests of sha256: {digests}")
    return Release(digests[0].lower(), _whole(facts["bytes"], 1, MAX_BUNDLE_BYTES), str(facts["name"]), digests[1])


def _whole(value: object, least: int, most: int) -> int:
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{value!r} is no whole number from {least} to {most}")
    return value


def _share(value: object) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= 1:
        raise ValueError(f"{value!r} is no share in 0..1")
    return float(value)

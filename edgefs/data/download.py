"""Downloads of archives that the authors of a data set host, checked against a digest."""

from __future__ import annotations

import hashlib
import tarfile
import urllib.error
import urllib.request
import zipfile
from dataclasses import dataclass
from pathlib import Path

from edgefs.errors import DataCorrupt, DataMissing

TIMEOUT_S = 30
BLOCK = 1 << 20


@dataclass(frozen=True)
class Archive:
    """A file that its authors host, with the md5 that they publish."""

    url: str
    md5: str

    @property
    def name(self) -> str:
        return self.url.rsplit("/", 1)[1]


def fetch(archive: Archive, root: Path, *, expected: str) -> None:
    """Download an archive into root and unpack it there.

    Args:
        expected: The layout of the images, for the message when the download fails.

    Raises:
        DataMissing: There is no network.
        DataCorrupt: The file has another digest; nothing is unpacked.
    """
    root.mkdir(parents=True, exist_ok=True)
    target, aside = root / archive.name, root / f"{archive.name}.part"
    if not target.is_file():
        try:
            download_file(archive.url, aside)
        except (OSError, urllib.error.URLError) as error:
            aside.unlink(missing_ok=True)
            raise DataMissing(
                f"{archive.url} must be downloadable, but: {error}. Offline? Fetch it elsewhere, put it at "
                f"{target} and run again, or lay the images out as {expected}"
            ) from error
        aside.replace(target)
    found = hashlib.md5(target.read_bytes(), usedforsecurity=False).hexdigest()
    if found != archive.md5:
        raise DataCorrupt(f"{target} must have the md5 {archive.md5}, but has {found}; delete it and run again")
    _unpack(target, root)


def download_file(url: str, target: Path) -> None:
    """Download a URL into a file. Raises OSError."""
    with urllib.request.urlopen(url, timeout=TIMEOUT_S) as reply, target.open("wb") as file:  # nosec B310 # the URLs are constants, and digests are checked
        while block := reply.read(BLOCK):
            file.write(block)


def _unpack(path: Path, root: Path) -> None:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            archive.extractall(root)  # nosec B202 # zipfile removes absolute and parent paths itself
    else:
        with tarfile.open(path) as tar:
            tar.extractall(root, filter="data")

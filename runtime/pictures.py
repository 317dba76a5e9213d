"""Which files of a folder are pictures: the one answer for training, calibration, enrolment and recognition.

A file whose name ends as a picture's does is one, also when it is damaged, so that the damage is reported. Any other
file is told by its content. What macOS, Windows and network drives leave in folders is ignored. All else is skipped,
and is counted and named.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field
from pathlib import Path

from runtime.errors import CameraMissing
from runtime.formats import PICTURES, format_of_file, kind_of

SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".tif", ".tiff", ".avif", ".heic", ".heif"),
}
SYSTEM = {
    *("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "@eadir", "#recycle", "$recycle.bin"),
    *("system volume information", "lost+found"),
}
SHOWN = 5  # names in a message
log = logging.getLogger(__name__)


@dataclass
class Found:
    """What a folder holds.

    Attributes:
        root: The folder.
        classes: The sorted pictures of each folder below that has some, or that is empty, by its path; "." is the root.
        skipped: Why each other file or folder was left out.
    """

    root: Path
    classes: dict[str, list[Path]] = field(default_factory=dict)
    skipped: dict[Path, str] = field(default_factory=dict)

    @property
    def pictures(self) -> list[Path]:
        """All pictures, sorted by path."""
        return sorted(path for paths in self.classes.values() for path in paths)

    def named(self) -> str:
        """Return a sentence that counts and names what was skipped; "" if nothing was."""
        if not self.skipped:
            return ""
        reasons: dict[str, list[str]] = {}
        for path, reason in sorted(self.skipped.items()):
            reasons.setdefault(reason, []).append(path.relative_to(self.root).as_posix())
        lines = [
            f"{len(names)} x {reason}: {', '.join(names[:SHOWN])}{' …' if len(names) > SHOWN else ''}"
            for reason, names in sorted(reasons.items(), key=lambda item: -len(item[1]))
        ]
        return "\n  ".join((f"{self.root}: skipped {len(self.skipped)} that are no pictures", *lines))

    def tell(self) -> Found:
        """Log what was skipped, and return this."""
        if self.skipped:
            log.warning("%s", self.named())
        return self


def is_system(name: str) -> bool:
    """Return whether a file or folder belongs to an operating system or is hidden, such as `._cup.png`."""
    return name.startswith(".") or name.lower() in SYSTEM


def pictures_in(folder: Path) -> Found:
    """Find the pictures of one folder, without the folders in it. Raises CameraMissing if it cannot be read."""
    found = Found(folder)
    for below in _read(folder, ".", found):
        found.skipped[below] = "folder below, which is not looked into"
    return found


def pictures_below(root: Path) -> Found:
    """Find the pictures of a folder and of every folder below. Links are followed, unless they lead back.

    Raises:
        CameraMissing: A folder cannot be read.
    """
    found = Found(root)
    waiting: list[tuple[Path, tuple[Path, ...]]] = [(root, ())]
    while waiting:
        folder, above = waiting.pop()
        real = folder.resolve()
        if any(one.is_relative_to(real) for one in above):
            found.skipped[folder] = "link that leads back to a folder above it"
        else:
            name = folder.relative_to(root).as_posix()
            waiting += [(below, (*above, real)) for below in _read(folder, name, found)]
    found.classes = dict(sorted(found.classes.items()))
    return found


def _read(folder: Path, name: str, found: Found) -> list[Path]:
    """Add the pictures and the skipped files of a folder, and return the folders in it."""
    folders, pictures = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                path = folder / entry.name
                if is_system(entry.name):
                    continue
                real = path if entry.is_symlink() else entry  # only a Path answers for a link that leads to itself
                if real.is_dir():
                    folders.append(path)
                elif reason := _why_skipped(path, regular=real.is_file(), linked=entry.is_symlink()):
                    found.skipped[path] = reason
                else:
                    pictures.append(path)
    except OSError as error:
        raise CameraMissing(
            f"{error.filename or folder} must be readable, but: {error.strerror or error}; check the path and its "
            "permissions"
        ) from error
    if pictures or not folders:
        found.classes[name] = pictures
    return folders


def _why_skipped(path: Path, *, regular: bool, linked: bool) -> str | None:
    """Return why a file is not taken for a picture; None if it is taken. Raises OSError."""
    if not regular and not linked:  # a pipe or a device, which could be read without an end
        return "no regular file"
    if path.suffix.lower() in SUFFIXES:
        return None
    if not regular:
        return "link to nothing"
    format_ = format_of_file(path)
    return None if format_ in PICTURES else kind_of(format_)

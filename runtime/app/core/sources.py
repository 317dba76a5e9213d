"""Sources that a person adds, names and removes while the app runs, stored beside the gallery until the next start."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec

from runtime.app.core.browser_feed import BrowserFeed
from runtime.app.core.camera_reader import CameraSource, camera_source
from runtime.errors import OptionError

MOST = 16
BROWSER = "browser"
SCHEMES = ("rtsp", "rtsps", "rtmp", "http", "https", "udp", "srt")

log = logging.getLogger(__name__)


class Added(msgspec.Struct, frozen=True):
    """A source that was added. `what` is what `--source` would take, or "browser"; it may hold a password."""

    id: str
    what: str
    name: str


class AddedSources:
    """The list of added sources.

    Args:
        gallery: The gallery's file, beside which the list is stored for its owner only; None keeps it in memory.
        opened: Returns the source for the text that `--source` takes.
    """

    def __init__(self, gallery: Path | None, opened: Callable[[str], CameraSource] | None = None) -> None:
        self._path = None if gallery is None else list_path(gallery)
        self._opened = opened or (lambda what: camera_source(what, loop=True))
        self._lock = threading.Lock()
        self.feeds: dict[str, BrowserFeed] = {}
        self._added = [] if self._path is None else _read(self._path)

    def remembered(self) -> dict[str, CameraSource]:
        """Return the sources that were added before, by id."""
        return {each.id: self._source(each) for each in self._added}

    def add(self, what: str, name: str | None, taken: set[str]) -> tuple[str, CameraSource]:
        """Store a source.

        Args:
            what: A camera number, a URL, a file or folder, "demo" or "browser".
            name: The name shown to people; None for one made from `what`.
            taken: The names of all cameras.

        Returns:
            Its id and the source, which is not open yet.

        Raises:
            OptionError: There are too many, or `what` is none of these.
        """
        check(what)
        with self._lock:
            if len(self._added) >= MOST:
                raise OptionError(f"At most {MOST} sources can be added, and there are {MOST}. Remove one first.")
            numbers = [int(each.id[1:]) for each in self._added]
            label = name or ("this browser's camera" if what == BROWSER else self._opened(what).name)
            added = Added(f"s{max(numbers, default=0) + 1}", what, _free(label, taken))
            source = self._source(added)
            self._store([*self._added, added])
        return added.id, source

    def rename(self, id_: str, name: str) -> None:
        """Store another name of a source. A camera of the command line keeps its new name until the program ends."""
        with self._lock:
            self._store([msgspec.structs.replace(each, name=name) if each.id == id_ else each for each in self._added])

    def remove(self, id_: str) -> None:
        """Remove a source. One of the command line comes back at the next start."""
        with self._lock:
            self.feeds.pop(id_, None)
            if any(each.id == id_ for each in self._added):
                self._store([each for each in self._added if each.id != id_])

    def _source(self, added: Added) -> CameraSource:
        if added.what == BROWSER:
            feed = self.feeds[added.id] = BrowserFeed(added.name)
            return CameraSource(added.name, feed.open)
        return replace(self._opened(added.what), name=added.name)

    def _store(self, added: list[Added]) -> None:
        self._added = added
        if self._path is None:
            return
        part = self._path.with_name(f"{self._path.name}.{os.getpid()}.part")
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(msgspec.json.encode(added))
            part.replace(self._path)
        except OSError as error:
            log.warning("%s cannot be written (%s); the list of sources is lost at the next start.", self._path, error)


def list_path(gallery: Path) -> Path:
    """Return the file of the added sources of a gallery."""
    return gallery.with_name(f"{gallery.name}.sources.json")


def any_remembered(gallery: Path) -> bool:
    """Return whether sources were added to a gallery's app before."""
    return bool(_read(list_path(gallery)))


def check(what: str) -> None:
    """Check what a person may add over the network. A pipeline is refused, because its elements can write files.

    Raises:
        OptionError: It is not a camera number, a URL, an existing file or folder, "demo" or "browser".
    """
    scheme = re.match(r"(\w[\w+.-]*)://", what)
    permitted = scheme is not None and scheme[1].lower() in SCHEMES
    if scheme is None:
        permitted = what in (BROWSER, "demo") or bool(re.fullmatch(r"(?:/dev/video)?\d{1,3}", what))
        permitted = permitted or os.path.exists(what)  # noqa: PTH110 - Path.exists raises for a long text
    if not permitted or "\0" in what:
        raise OptionError(
            "The source must be a camera number, a file or folder that exists on this device, or a URL that begins "
            f"with {', '.join(f'{each}://' for each in SCHEMES)}. Check it for typing errors."
        )


def _read(path: Path) -> list[Added]:
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Added]) if path.exists() else []
    except (OSError, msgspec.MsgspecError) as error:
        log.warning("%s cannot be read (%s); the sources that were added are not opened.", path, error)
        return []


def _free(name: str, taken: set[str]) -> str:
    """Return the name, with a number if another camera has it."""
    names = [name, *(f"{name} {i}" for i in range(2, len(taken) + 3))]
    return next(each for each in names if each not in taken)

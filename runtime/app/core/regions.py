"""The regions of each camera, stored beside the gallery, so that they are the same after a restart."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
from msgspec.structs import replace

from runtime.app.core.messages import FrameRegion, NamedRegion
from runtime.durable import write_file

log = logging.getLogger(__name__)


class CameraRegions(msgspec.Struct, frozen=True):
    """The region that a camera looks at, None for the whole frame, and the named ones."""

    region: FrameRegion | None = None
    named: list[NamedRegion] = []


class Regions:
    """The regions of each camera by the camera's name, which holds no credentials.

    Args:
        gallery: The gallery's file, beside which the regions are stored; None keeps them in memory.
    """

    def __init__(self, gallery: Path | None) -> None:
        self._path = None if gallery is None else gallery.with_name(f"{gallery.name}.cameras.json")
        self._regions: dict[str, CameraRegions] = {}
        try:
            if self._path is not None and self._path.exists():
                self._regions = _read(self._path.read_bytes())
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("%s cannot be read (%s); every camera looks at its whole frame.", self._path, error)

    def get(self, name: str) -> CameraRegions:
        return self._regions.get(name, CameraRegions())

    def set(self, name: str, region: FrameRegion | None) -> None:
        """Store the region that a camera looks at. If the disk refuses, it lasts until the program ends."""
        self._store(name, replace(self.get(name), region=region))

    def set_named(self, name: str, regions: list[NamedRegion]) -> None:
        """Store the named regions of a camera, as `set` does."""
        self._store(name, replace(self.get(name), named=regions))

    def rename(self, name: str, to: str) -> None:
        """Let a camera keep its regions under another name."""
        if name in self._regions:
            self._store(to, self._regions[name])

    def _store(self, name: str, regions: CameraRegions) -> None:
        self._regions = {**self._regions, name: regions}
        if self._path is None:
            return
        try:
            write_file(self._path, msgspec.json.encode(self._regions))
        except OSError as error:
            log.warning("%s cannot be written (%s); the region is lost at the next start.", self._path, error)


def _read(data: bytes) -> dict[str, CameraRegions]:
    """Read the file; before there were named regions, it held one region for each camera. Raises MsgspecError."""
    try:
        old = msgspec.json.decode(data, type=dict[str, FrameRegion | None])
        return {name: CameraRegions(region) for name, region in old.items()}
    except msgspec.ValidationError:
        return msgspec.json.decode(data, type=dict[str, CameraRegions])

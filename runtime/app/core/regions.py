"""The region of each camera, stored beside the gallery, so that it is the same after a restart."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import msgspec

from runtime.app.core.messages import FrameRegion

log = logging.getLogger(__name__)


class Regions:
    """The region of each camera by the camera's name, which holds no credentials.

    Args:
        gallery: The gallery's file, beside which the regions are stored; None keeps them in memory.
    """

    def __init__(self, gallery: Path | None) -> None:
        self._path = None if gallery is None else gallery.with_name(f"{gallery.name}.cameras.json")
        self._regions: dict[str, FrameRegion | None] = {}
        try:
            if self._path is not None and self._path.exists():
                self._regions = msgspec.json.decode(self._path.read_bytes(), type=dict[str, FrameRegion | None])
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("%s cannot be read (%s); every camera looks at its whole frame.", self._path, error)

    def get(self, name: str) -> FrameRegion | None:
        return self._regions.get(name)

    def set(self, name: str, region: FrameRegion | None) -> None:
        """Store a region. If the disk refuses, it lasts until the program ends."""
        self._regions = {**self._regions, name: region}
        if self._path is None:
            return
        part = self._path.with_name(f"{self._path.name}.{os.getpid()}.part")
        try:
            part.write_bytes(msgspec.json.encode(self._regions))
            part.replace(self._path)
        except OSError as error:
            log.warning("%s cannot be written (%s); the region is lost at the next start.", self._path, error)

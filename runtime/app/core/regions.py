"""Where each camera looks, kept beside the gallery: a restart must not make it look elsewhere."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import msgspec

from runtime.app.core.messages import Region

log = logging.getLogger(__name__)


class Regions:
    """Regions by the camera's name, which holds no credentials. path: None keeps them in memory."""

    def __init__(self, gallery: Path | None) -> None:
        self._path = None if gallery is None else gallery.with_name(f"{gallery.name}.cameras.json")
        self._regions: dict[str, Region | None] = {}
        try:
            if self._path is not None and self._path.exists():
                self._regions = msgspec.json.decode(self._path.read_bytes(), type=dict[str, Region | None])
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("%s is not read (%s); every camera looks at its whole picture", self._path, error)

    def of(self, name: str) -> Region | None:
        return self._regions.get(name)

    def put(self, name: str, region: Region | None) -> None:
        """Keep a region; where the disk refuses it holds until the end."""
        self._regions = {**self._regions, name: region}
        if self._path is None:
            return
        aside = self._path.with_name(f"{self._path.name}.{os.getpid()}.part")
        try:
            aside.write_bytes(msgspec.json.encode(self._regions))
            aside.replace(self._path)
        except OSError as error:
            log.warning("%s cannot be written (%s); the region is lost at the next start", self._path, error)

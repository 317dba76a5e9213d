"""The cameras of the app: those of the start, and those that are added, named and removed while it runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from runtime.app.core.camera_reader import CameraSource
from runtime.app.core.camera_worker import CameraWorker, Shared
from runtime.app.core.messages import Answer, Camera, FrameRegion, NamedRegion
from runtime.app.core.regions import Regions
from runtime.app.core.sources import AddedSources
from runtime.errors import EdgefsError, OptionError


class UnknownCamera(OptionError, LookupError):
    """No camera has this id."""


class Owner(Shared, Protocol):
    """What the cameras share, and what is told when there is another camera or another name: `Service`."""

    def changed(self) -> None: ...


class Cameras:
    """One worker for each camera, and what is remembered of them for the next start.

    Args:
        sources: The cameras of the start.
        gallery: The gallery's file, beside which regions and added sources are stored; None for in memory.
        open_source: Returns the source for a text as `--source` takes it, for sources that are added and
            remembered; with None they are not remembered.
        owner: The service.
        on_answer: Called in the camera's thread with every answer.

    Attributes:
        workers: The camera workers by the camera's id; replaced as a whole, because other threads iterate over it.
        added: The sources that were added.
    """

    def __init__(
        self,
        sources: Sequence[CameraSource],
        gallery: Path | None,
        open_source: Callable[[str], CameraSource] | None,
        owner: Owner,
        on_answer: Callable[[Answer], None],
    ) -> None:
        self._owner, self._on_answer = owner, on_answer
        self._regions, self._changing = Regions(gallery), threading.Lock()
        self.added = AddedSources(gallery if open_source else None, open_source)
        opened = {str(i): source for i, source in enumerate(sources)} | self.added.remembered()
        self.workers = {id_: self._worker(id_, source) for id_, source in opened.items()}

    def start(self) -> None:
        """Open every camera; returns at once."""
        for worker in self.workers.values():
            worker.reader.start()

    def stop(self) -> None:
        """Ask every camera to stop; returns at once."""
        for worker in self.workers.values():
            worker.reader.stop()

    def join(self) -> None:
        """Wait until every camera has stopped."""
        for worker in self.workers.values():
            worker.reader.join()
            worker.preview.close()

    @property
    def ended(self) -> bool:
        """Whether every source came to its end."""
        return all(worker.reader.ended for worker in self.workers.values())

    @property
    def error(self) -> EdgefsError | None:
        """Why the first file that is played once could not be played to its end; None if there is none."""
        return next((worker.reader.error for worker in self.workers.values() if worker.reader.error), None)

    @property
    def alive_s(self) -> float:
        """The last moment (`time.monotonic()`) at which every thread was seen to run."""
        readers = [worker.reader for worker in self.workers.values()]
        return min((reader.alive_s for reader in readers if not reader.ended), default=time.monotonic())

    def worker(self, id_: str) -> CameraWorker:
        """Return the worker of a camera. Raises UnknownCamera."""
        if id_ not in self.workers:
            raise UnknownCamera(f"The camera must be one of {', '.join(self.workers) or 'none'}, but got {id_!r}.")
        return self.workers[id_]

    def add(self, what: str, name: str | None) -> Camera:
        """Open another source, also after a restart; arguments and errors are those of `AddedSources.add`."""
        with self._changing:
            id_, source = self.added.add(what, name, {worker.session.name for worker in self.workers.values()})
            worker = self._worker(id_, source)
            self.workers = {**self.workers, id_: worker}
            worker.reader.start()
        self._owner.changed()
        return worker.camera()

    def rename(self, id_: str, name: str) -> Camera:
        """Give a camera another name, which keeps its region. Raises UnknownCamera, OptionError."""
        with self._changing:
            worker = self.worker(id_)
            if any(each.session.name == name for each in self.workers.values() if each is not worker):
                raise OptionError(f"The name of a camera must be its own, but another one is called {name!r}.")
            self._regions.rename(worker.session.name, name)
            self.added.rename(id_, name)
            worker.session.name = name
        self._owner.changed()
        return worker.camera()

    def remove(self, id_: str) -> str:
        """Close a camera and discard its teaching session; returns what was done. Raises UnknownCamera."""
        with self._changing:
            worker = self.worker(id_)
            self.workers = {other: each for other, each in self.workers.items() if other != id_}
            self.added.remove(id_)
        worker.reader.stop()
        worker.reader.join()
        worker.preview.close()
        self._owner.changed()
        return f"removed {worker.session.name}"

    def set_region(self, id_: str, region: FrameRegion | None) -> Camera:
        """Look at a part of a camera's frame, also after a restart; None for the whole frame."""
        worker = self.worker(id_)
        self._regions.set(worker.session.name, region)
        return worker.set_region(region)

    def set_named_regions(self, id_: str, regions: list[NamedRegion]) -> Camera:
        """Answer these regions of a camera besides its frame, also after a restart. Raises OptionError."""
        if len({named.name for named in regions}) < len(regions):
            raise OptionError("Each region must have a name of its own, but two have the same. Give another name.")
        worker = self.worker(id_)
        self._regions.set_named(worker.session.name, regions)
        return worker.set_named(regions)

    def cut_teaching(self, id_: str, region: FrameRegion) -> Camera:
        """Look at a region, also after a restart, and cut what is being taught, see `CameraSession.cut_teaching`."""
        worker = self.worker(id_)
        camera = worker.cut_teaching(region)
        self._regions.set(worker.session.name, region)
        return camera

    def _worker(self, id_: str, source: CameraSource) -> CameraWorker:
        return CameraWorker(id_, source, self._regions.get(source.name), self._owner, self._on_answer)

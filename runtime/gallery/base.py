"""The records that go into and come out of a gallery, and the Protocol that the recognizer uses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.gallery.retention import Purged

if TYPE_CHECKING:
    from runtime.fleet.gallery import FleetGallery

State = Literal["ok", "read-only", "damaged", "disk full", "disk failing", "second writer"]


@dataclass(frozen=True, eq=False)
class NewShot:
    """A shot to be stored."""

    embedding: NDArray[np.float32]  # [D], finite
    crop: bytes | None  # JPEG; None if crops are not kept, and then the shot cannot be embedded again
    burst: str  # id of the enrolment burst; shots of one burst look alike, so thresholds leave out whole bursts
    quality: float  # 0..1
    source: str  # "camera 0", "file.mp4", "api"
    time_s: float  # unix seconds


@dataclass(frozen=True, eq=False)
class ClassShots:
    """One class in memory. It is immutable: a changed class is a new object, an unchanged one stays the same."""

    label: str
    ids: NDArray[np.int64]  # [n], n >= 1, ascending
    embeddings: NDArray[np.float32]  # [n, D], C-contiguous, read-only
    bursts: tuple[str, ...]  # of each shot
    qualities: NDArray[np.float32]  # [n]
    negatives: NDArray[np.float32]  # [m, D] examples of what the class is not, read-only


@dataclass(frozen=True, eq=False)
class ShotRecord:
    """Everything stored about one shot except its crop."""

    id: int
    label: str
    negative: bool
    burst: str
    quality: float
    source: str
    time_s: float
    crop_sha256: str | None  # None if no crop was kept
    embedding: NDArray[np.float32]  # [D], read-only


@dataclass(frozen=True)
class Damaged:
    """A record whose digest does not match. It stays in the file, but is not used."""

    id: int  # of the shot, or of the class if the record of a class is damaged
    label: str  # "" if it cannot be read
    what: str


@dataclass(frozen=True)
class Repair:
    """What a repair did.

    Attributes:
        notes: What was corrected and what was lost, in sentences.
        kept: The damaged file; None if nothing was damaged. The next deletion of a forgotten class deletes it.
    """

    notes: tuple[str, ...]
    kept: Path | None


@dataclass(frozen=True)
class Operation:
    """One change to the gallery."""

    id: int
    time_s: float  # unix seconds
    what: str  # "enrolled 5 shots of 'mug'"


@dataclass(frozen=True)
class GalleryInfo:
    """A summary of a gallery, made without checking the digests of shots."""

    fingerprint: str
    dim: int
    classes: int
    shots: int
    negatives: int


class Gallery(Protocol):
    """What the recognizer needs of a gallery. `SqliteGallery` documents the methods."""

    @property
    def path(self) -> Path | None: ...  # None if it is in memory
    @property
    def shared(self) -> FleetGallery | None: ...  # this gallery if the devices of a site share it; None for a file
    @property
    def fingerprint(self) -> str: ...  # of the bundle whose embeddings these are
    @property
    def dim(self) -> int: ...
    @property
    def classes(self) -> Mapping[str, ClassShots]: ...  # an immutable snapshot, in order of first enrolment
    @property
    def damaged(self) -> tuple[Damaged, ...]: ...
    @property
    def keep_crops(self) -> bool: ...  # stored in the file
    def set_keep_crops(self, keep: bool) -> None: ...
    @property
    def stranger_rate(self) -> float | None: ...  # stored in the file; None if it was never set
    def set_stranger_rate(self, rate: float) -> None: ...
    @property
    def precision(self) -> str | None: ...  # of the model that computed the embeddings; None if not known
    def set_precision(self, precision: str) -> None: ...
    def add(self, label: str, shots: Sequence[NewShot], *, negative: bool = False) -> list[int]: ...
    def add_all(self, batch: Iterable[tuple[str, NewShot, bool]], what: str) -> list[int]: ...
    @property
    def state(self) -> State: ...
    @property
    def undo_minutes(self) -> int: ...  # how long forgetting can be undone; stored in the file
    def set_undo_minutes(self, minutes: int) -> None: ...
    def forget(self, label: str, *, now: bool = False) -> int: ...
    def purge(self, *, now: bool = False) -> Purged: ...
    def check(self) -> tuple[Damaged, ...]: ...
    def repair(self) -> Repair: ...
    def backup(self, path: str | Path) -> None: ...
    def rename(self, label: str, to: str) -> None: ...
    def merge(self, label: str, into: str) -> int: ...
    def remove_shot(self, shot_id: int) -> str: ...
    def move_shot(self, shot_id: int, to: str) -> int: ...
    def undo(self, expected: int | None = None) -> str: ...  # expected: the id of the change that is meant
    def redo(self, expected: int | None = None) -> str: ...
    @property
    def last_operation(self) -> int | None: ...  # the id of the newest change that the calling thread made
    def history(self) -> list[Operation]: ...  # what `undo` would undo, newest first
    def undone(self) -> list[Operation]: ...  # what `redo` would redo, the next one first
    def crop(self, shot_id: int, *, forgotten: bool = False) -> bytes | None: ...
    def shot(self, shot_id: int) -> ShotRecord: ...
    def records(self, label: str) -> list[ShotRecord]: ...
    def stored_ids(self) -> list[int]: ...
    def stored_embeddings(self) -> dict[int, NDArray[np.float32]]: ...
    def replace_embeddings(
        self,
        embeddings: Mapping[int, NDArray[np.float32]],
        *,
        fingerprint: str,
        dim: int,
        precision: str | None = None,
    ) -> None: ...
    @property
    def unknown_frames(self) -> NDArray[np.float32]: ...  # [S, D]: a person said that they show nothing taught
    def add_unknown_frames(self, embeddings: NDArray[np.float32]) -> None: ...
    def refresh(self) -> bool: ...
    def close(self) -> None: ...

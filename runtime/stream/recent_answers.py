"""A bounded memory of recent answers: what is explained, rejected and previewed after the frame itself is gone."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.recognition import Recognition

CAPACITY = 3600  # an hour at one answer a second; at D = 512 and 40 kB a crop about 150 MB


@dataclass(frozen=True, eq=False)
class RecentAnswer:
    """id: growing, never used twice in one ring.  crop: JPEG or None.  time_s: as handed in."""

    id: int
    recognition: Recognition
    crop: bytes | None
    time_s: float


class Ring:
    """The newest `capacity` answers, by id. Safe from several threads."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self._answers: OrderedDict[int, RecentAnswer] = OrderedDict()
        self._next = 1
        self._lock = threading.Lock()

    def add(self, recognition: Recognition, crop: bytes | None, time_s: float) -> int:
        """Remember an answer, and forget the oldest when full; returns its id."""
        with self._lock:
            id_, self._next = self._next, self._next + 1
            self._answers[id_] = RecentAnswer(id_, recognition, crop, time_s)
            while len(self._answers) > self.capacity:
                self._answers.popitem(last=False)
        return id_

    def get(self, id_: int) -> RecentAnswer | None:
        """The answer of this id while it is still there, else None."""
        return self._answers.get(id_)

    def answers(self) -> list[RecentAnswer]:
        """All that is remembered, oldest first."""
        with self._lock:
            return list(self._answers.values())

    def __len__(self) -> int:
        return len(self._answers)


def embeddings_of(answers: list[RecentAnswer], dim: int) -> NDArray[np.float32]:
    """Stack the embeddings of answers: `float32 [N, D]`."""
    if not answers:
        return np.zeros((0, dim), np.float32)
    return np.stack([answer.recognition.embedding for answer in answers])

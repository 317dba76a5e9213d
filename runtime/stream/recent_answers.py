"""Keeps recent answers, so that they can be explained and rejected after their frame is gone."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runtime.recognition import Recognition

CAPACITY = 3600  # an hour at one answer per second; about 150 MB with D = 512 and crops of 40 kB


@dataclass(frozen=True, eq=False)
class RecentAnswer:
    """An answer that was kept.

    Attributes:
        id: Ascending number, never used twice in one ring.
        recognition: The answer.
        crop: JPEG of the frame, or None.
        time_s: Time of the frame, as given to `Ring.add`.
    """

    id: int
    recognition: Recognition
    crop: bytes | None
    time_s: float


class Ring:
    """The newest `capacity` answers, by id. It can be used from several threads."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self._answers: OrderedDict[int, RecentAnswer] = OrderedDict()
        self._next = 1
        self._lock = threading.Lock()

    def add(self, recognition: Recognition, crop: bytes | None, time_s: float) -> int:
        """Keep an answer and drop the oldest if there are too many; return its id."""
        with self._lock:
            id_, self._next = self._next, self._next + 1
            self._answers[id_] = RecentAnswer(id_, recognition, crop, time_s)
            while len(self._answers) > self.capacity:
                self._answers.popitem(last=False)
        return id_

    def get(self, id_: int) -> RecentAnswer | None:
        """Return the answer with this id, or None if it was dropped."""
        return self._answers.get(id_)

    def answers(self) -> list[RecentAnswer]:
        """Return all answers, oldest first."""
        with self._lock:
            return list(self._answers.values())

    def __len__(self) -> int:
        return len(self._answers)


def embeddings_of(answers: list[RecentAnswer], dim: int) -> NDArray[np.float32]:
    """Stack the embeddings of answers: `float32 [N, D]`."""
    if not answers:
        return np.zeros((0, dim), np.float32)
    return np.stack([answer.recognition.embedding for answer in answers])

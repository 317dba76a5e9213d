"""Groups unknown frames into strangers with stable ids, so that a stranger can be taught from views already seen.

The method is leader clustering: an unknown frame joins the stranger with the nearest mean if that is near enough, or
becomes a new stranger. It works online with bounded memory, and an id never changes; but one thing seen from two sides
may have two ids.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import Bundle
from runtime.errors import UnknownLabel
from runtime.matching.prototypes import similarity
from runtime.recognition import Recognition
from runtime.teaching.enrolling import Observation
from runtime.teaching.quality import FrameQuality, same_view

MIN_SEEN = 3  # frames before a stranger is listed
MAX_STRANGERS = 64  # the one that was not seen for longest is dropped
MAX_VIEWS = 16  # different views kept of each stranger
SAME_THING = 0.5  # cosine; for other metrics see `_near_enough`


@dataclass(frozen=True, eq=False)
class Stranger:
    """A thing that was seen and is not known.

    Attributes:
        id: Its number, which stays the same as long as the inbox exists.
        seen: How many frames showed it.
        first_s: Time of the first frame, as given to `Inbox.add`.
        last_s: Time of the last frame.
        crop: The newest JPEG, or None.
    """

    id: int
    seen: int
    first_s: float
    last_s: float
    crop: bytes | None = field(repr=False)


@dataclass
class _Cluster:
    stranger: Stranger
    mean: NDArray[np.float64]
    views: list[Observation]


class Inbox:
    """The strangers of one stream of answers, in memory. It can be used from several threads."""

    def __init__(self, bundle: Bundle, *, capacity: int = MAX_STRANGERS) -> None:
        self._metric, self._dim, self._model = bundle.metric, bundle.dim, bundle.fingerprint
        self.capacity = capacity
        self._clusters: dict[int, _Cluster] = {}  # the one seen last is at the end
        self._next = 1
        self._lock = threading.Lock()

    def add(self, recognition: Recognition, crop: bytes | None, time_s: float) -> int | None:
        """Add an answer; return the id of the stranger it shows, or None if it was recognized.

        `time_s` is only kept for display: the order of the calls decides which stranger was seen last.
        """
        if recognition.certainty != "unknown":
            return None
        embedding = recognition.embedding
        with self._lock:
            id_ = self._nearest(embedding)
            if id_ is None:
                id_, self._next = self._next, self._next + 1
                self._make_room()
                new = Stranger(id_, 0, time_s, time_s, crop)
                self._clusters[id_] = _Cluster(new, np.zeros(self._dim), [])
            cluster = self._clusters[id_] = self._clusters.pop(id_)
            self._join(cluster, embedding, crop, time_s)
        return id_

    def strangers(self) -> list[Stranger]:
        """Return the strangers seen at least MIN_SEEN times, the most frequent first."""
        with self._lock:
            found = [cluster.stranger for cluster in self._clusters.values()]
        return sorted((s for s in found if s.seen >= MIN_SEEN), key=lambda s: (-s.seen, s.id))

    def views(self, id_: int) -> list[Observation]:
        """Return the different views kept of a stranger. Raises UnknownLabel."""
        with self._lock:
            return list(self._of(id_).views)

    def dismiss(self, id_: int) -> None:
        """Forget a stranger. If it is seen again, it is a new one. Raises UnknownLabel."""
        with self._lock:
            self._of(id_)
            del self._clusters[id_]

    def let_go_known(self, match_many: Callable[[NDArray[np.float32]], list[Recognition]]) -> None:
        """Forget the strangers of which most views are recognized by now, because they were taught since."""
        with self._lock:
            seen = {id_: [view.embedding for view in cluster.views] for id_, cluster in self._clusters.items()}
        known = [id_ for id_, views in seen.items() if _mostly_known(match_many(np.array(views)))]
        with self._lock:
            for id_ in known:
                self._clusters.pop(id_, None)

    def _of(self, id_: int) -> _Cluster:
        if id_ not in self._clusters:
            raise UnknownLabel(f"stranger {id_} must be in the inbox, but is not, or was dropped; see strangers()")
        return self._clusters[id_]

    def _nearest(self, embedding: NDArray[np.float32]) -> int | None:
        if not self._clusters:
            return None
        means = np.stack([cluster.mean for cluster in self._clusters.values()]).astype(np.float32)
        scores = similarity(means, embedding, self._metric)
        best = int(scores.argmax())
        near = scores[best] >= _near_enough(embedding, self._metric)
        return list(self._clusters)[best] if near else None

    def _join(self, cluster: _Cluster, embedding: NDArray[np.float32], crop: bytes | None, time_s: float) -> None:
        old = cluster.stranger
        total = cluster.mean * old.seen + embedding
        mean = total / (old.seen + 1)
        if self._metric == "cosine":  # only the direction of the mean counts
            mean = mean / max(float(np.linalg.norm(mean)), 1e-12)
        cluster.mean = mean
        cluster.stranger = Stranger(old.id, old.seen + 1, old.first_s, time_s, crop or old.crop)
        taken = np.array([view.embedding for view in cluster.views], np.float32).reshape(-1, self._dim)
        if len(cluster.views) < MAX_VIEWS and not same_view(embedding, taken):
            cluster.views.append(Observation(embedding, crop, FrameQuality(0, 255, 1.0), self._model))

    def _make_room(self) -> None:
        while len(self._clusters) >= self.capacity:
            del self._clusters[next(iter(self._clusters))]


def _mostly_known(answers: list[Recognition]) -> bool:
    return 2 * sum(answer.label is not None for answer in answers) > len(answers)


def _near_enough(embedding: NDArray[np.float32], metric: str) -> float:
    """Return the score from which two frames show one thing. SAME_THING is converted to a distance if needed."""
    if metric == "cosine":
        return SAME_THING
    return -float(np.sqrt(2 * (1 - SAME_THING)) * np.linalg.norm(embedding))

"""The index of a large gallery: which few of very many prototypes may be the best for an embedding.

It is a graph that is searched from node to node (HNSW: Malkov and Yashunin 2016, arXiv:1603.09320), by usearch. Whoever
asks scores what it finds exactly, so it decides which classes are compared, and never how.

One index follows a gallery through its changes. A few changes are made at once; many, such as the whole gallery when it
is opened, are made by a thread of its own, and until it has finished every prototype is compared.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runtime.matching.order import Order, taken_over

if TYPE_CHECKING:
    from runtime.matching.prototypes import Prototype

LARGE = 100_000  # classes from which on an index is used
FOUND = 128  # classes that are found for an embedding, and then scored exactly
AT_ONCE = 64  # changes that are made while the caller waits
CHUNK = 1_000  # classes added between two looks at what else is to be done
CONNECTIVITY, EXPANSION_ADD = 16, 128  # of the graph
EXPANSION = 1024  # nodes that a search looks at; `benchmarks.large_gallery` measures what fewer and more find
Change = tuple["NDArray[np.int64]", "list[Prototype]"]  # keys, and the prototypes to add; none to remove the keys
log = logging.getLogger(__name__)


@cache
def usearch_index() -> Any:
    """Return the class `usearch.index.Index`, or None, after one warning, where usearch is not installed."""
    if find_spec(
        "onnxruntime"
    ):  # imported after usearch 2.26, ONNX Runtime 1.32 ends the process; before it, it does not
        import_module("onnxruntime")
    try:
        from usearch.index import Index as Graph
    except ImportError:
        log.warning(
            "A gallery of more than %s classes needs usearch to answer quickly, but it is not installed, so each frame "
            "is compared with every class. Do: pip install 'edgefs[fleet]'",
            f"{LARGE:,}",
        )
        return None
    return Graph


class Index:
    """Finds classes near an embedding. It is safe to use from several threads; `follow` from one at a time."""

    def __init__(self, metric: str, dim: int) -> None:
        self._graph = usearch_index()(
            ndim=dim,
            metric="ip" if metric == "cosine" else "l2sq",
            dtype="i8" if metric == "cosine" else "f16",  # bytes suffice to find unit vectors
            connectivity=CONNECTIVITY,
            expansion_add=EXPANSION_ADD,
            expansion_search=EXPANSION,
        )
        self._order, self._keys = Order(), np.zeros(0, np.int64)  # the key of each class
        self._next = 0
        self._changes: deque[Change] = deque()
        self._thread: threading.Thread | None = None  # that makes the changes
        self._handing_over = threading.Lock()  # held while `_changes` and `_thread` are looked at together
        self._busy = threading.Lock()  # held while the graph is searched or changed

    @property
    def ready(self) -> bool:
        """Whether `search` finds the classes of the newest `follow`, so that not every prototype must be compared."""
        return self._thread is None

    @property
    def expansion(self) -> int:
        """How many nodes a search looks at. More find more, and take longer."""
        return int(self._graph.expansion_search)

    @expansion.setter
    def expansion(self, nodes: int) -> None:
        self._graph.expansion_search = nodes

    @property
    def size_bytes(self) -> int:
        """The memory that it takes."""
        return int(self._graph.memory_usage)

    def follow(self, classes: Sequence[Prototype], order: Order) -> NDArray[np.int64]:
        """Take over the classes of a gallery after a change.

        Returns:
            The row of each key that `search` may find, `int64 [keys]`; -1 for the key of a class that is gone.
        """
        before = order.rows_in(self._order)
        gone = np.delete(self._keys, before[before >= 0])
        fresh = np.flatnonzero(before < 0)
        self._order, self._keys = order, taken_over(self._keys, before)
        self._keys[fresh] = np.arange(self._next, self._next + len(fresh))
        self._next += len(fresh)
        self._change(gone, self._keys[fresh], [classes[row] for row in fresh.tolist()])
        rows = np.full(self._next, -1, np.int64)
        rows[self._keys] = np.arange(len(classes))
        return rows

    def search(self, embeddings: NDArray[np.float32]) -> NDArray[np.int64]:
        """Find classes near embeddings `float32 [N, D]`: the keys of all that are near one of them, `int64 [n]`."""
        with self._busy:
            found = [self._graph.search(embedding, FOUND, threads=1).keys for embedding in embeddings]
        return np.unique(np.concatenate(found)).astype(np.int64)

    def wait(self) -> None:
        """Wait until it is ready."""
        if (thread := self._thread) is not None:
            thread.join()

    def _change(self, gone: NDArray[np.int64], keys: NDArray[np.int64], fresh: list[Prototype]) -> None:
        with self._handing_over:
            self._changes += [(gone[at : at + CHUNK], []) for at in range(0, len(gone), CHUNK)]
            self._changes += [(keys[at : at + CHUNK], fresh[at : at + CHUNK]) for at in range(0, len(keys), CHUNK)]
            if self._thread is not None:
                return
            if len(gone) + len(fresh) > AT_ONCE:
                self._thread = threading.Thread(target=self._catch_up, name="index of a large gallery", daemon=True)
                self._thread.start()
                return
        while self._changes:
            self._make(*self._changes.popleft())

    def _catch_up(self) -> None:
        while True:
            with self._handing_over:
                if not self._changes:
                    self._thread = None
                    return
                change = self._changes.popleft()
            self._make(*change)

    def _make(self, keys: NDArray[np.int64], fresh: list[Prototype]) -> None:
        with self._busy:
            if fresh:
                self._graph.add(keys.astype(np.uint64), np.stack([proto.mean for proto in fresh]), threads=1)
            else:
                self._graph.remove(keys.astype(np.uint64))

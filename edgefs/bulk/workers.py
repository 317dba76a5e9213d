"""Runs the embedding in this process, or in several. The results come in the order of the pictures either way."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain

from edgefs.bulk.embedder import Embedder, Job, Result
from edgefs.bulk.pictures import Picture
from edgefs.errors import WorkerLost

AT_ONCE = (
    32  # pictures of one call of the engine; the same for any number of processes, so that they give the same bits
)
_job: Job | None = None  # of this worker process
_embedder: Embedder | None = None


def batches(pictures: Sequence[Picture]) -> list[Sequence[Picture]]:
    """Divide pictures into those of one call of the engine."""
    return [pictures[at : at + AT_ONCE] for at in range(0, len(pictures), AT_ONCE)]


def embed_here(job: Job, pictures: Sequence[Picture]) -> Iterator[Result]:
    """Embed pictures in this process."""
    embedder = Embedder(job)
    try:
        for some in batches(pictures):
            yield from embedder(some)
    finally:
        embedder.close()


def embed_in_processes(job: Job, pictures: Sequence[Picture], processes: int) -> Iterator[Result]:
    """Embed pictures in some new processes, which end with this one, also if it is killed. Raises WorkerLost."""
    context = multiprocessing.get_context("spawn")  # a fork would copy locks that threads of an engine hold
    try:
        with ProcessPoolExecutor(processes, context, _start, (job,)) as pool:
            yield from chain.from_iterable(pool.map(_embed, batches(pictures)))
    except BrokenProcessPool as error:
        raise WorkerLost(
            f"all {processes} processes must go on to the end, but one ended, as by a lack of memory; run the command "
            "again, perhaps with fewer --processes: it goes on where it was"
        ) from error


def _start(job: Job) -> None:
    global _job
    _job = job
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _embed(pictures: Sequence[Picture]) -> list[Result]:
    global _embedder
    if _embedder is None:  # not in `_start`, whose errors would not reach the caller
        assert _job is not None
        _embedder = Embedder(_job)
    return _embedder(pictures)

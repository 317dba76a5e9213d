"""Runs the embedding on a cluster by Ray Data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from edgefs.bulk.embedder import Embedder, Job, Result
from edgefs.bulk.pictures import Picture
from edgefs.bulk.workers import batches
from edgefs.errors import PackageMissing


def embed_on_cluster(job: Job, pictures: Sequence[Picture], address: str, processes: int) -> Iterator[Result]:
    """Embed pictures on a Ray cluster. Every machine needs edgefs, the bundle and the pictures at the same paths.

    Args:
        job: How they are embedded.
        pictures: The pictures.
        address: "local", which starts a cluster on this machine, "auto", or the address of a cluster.
        processes: How many embed at the same time, of one CPU each.

    Raises:
        PackageMissing: Ray is not installed.
    """
    try:
        import ray
        from ray.data import ActorPoolStrategy, DataContext
    except ImportError as error:
        raise PackageMissing(
            "--ray needs Ray, which is not installed. Do: pip install 'ray[data]' (on aarch64 with Python 3.10 "
            "there is none: use --processes there)"
        ) from error
    ray.init(address=address, ignore_reinit_error=True, log_to_driver=False)
    DataContext.get_current().execution_options.preserve_order = True
    rows = [{"pictures": list(some)} for some in batches(pictures)]
    done = ray.data.from_items(rows).map(
        _Worker, fn_constructor_args=(job,), num_cpus=1, compute=ActorPoolStrategy(size=processes)
    )
    for row in done.iter_rows():
        yield from row["results"]


class _Worker:
    """An Embedder in a process of the cluster."""

    def __init__(self, job: Job) -> None:
        self._embedder = Embedder(job)

    def __call__(self, row: dict[str, Any]) -> dict[str, list[Result]]:
        return {"results": self._embedder(row["pictures"])}

"""Runs the embedding on a cluster by Ray Data."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from typing import Any

from edgefs.bulk.embedder import Embedder, Job, Result
from edgefs.bulk.pictures import Picture
from edgefs.bulk.workers import batches
from edgefs.errors import ConfigError, PackageMissing
from runtime.errors import EdgefsError


def embed_on_cluster(job: Job, pictures: Sequence[Picture], address: str, processes: int) -> Iterator[Result]:
    """Embed pictures on a Ray cluster. Every machine needs edgefs, the bundle and the pictures at the same paths.

    Args:
        job: How they are embedded.
        pictures: The pictures.
        address: "local", which starts a cluster on this machine, "auto", or the address of a cluster.
        processes: How many embed at the same time, of one CPU each.

    Raises:
        PackageMissing: Ray is not installed.
        ConfigError: There is no such cluster.
    """
    # A cluster that is started here sends no statistics to the makers of Ray.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        from ray.data import ActorPoolStrategy, DataContext
    except ImportError as error:
        raise PackageMissing("--ray needs Ray, which is not installed. Do: pip install 'edgefs[ray]'") from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    try:
        ray.init(address=address, ignore_reinit_error=True, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"--ray must be local, auto, or the address of a Ray cluster that runs, but is {address}: {error}; start "
            "it with: ray start --head"
        ) from error
    context = DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False  # ours is shown
    rows = [{"pictures": list(some)} for some in batches(pictures)]
    done = ray.data.from_items(rows).map(
        _Worker, fn_constructor_args=(job,), num_cpus=1, compute=ActorPoolStrategy(size=processes)
    )
    for row in done.iter_rows():
        if "error" in row:
            raise row["error"]
        yield from row["results"]


class _Worker:
    """An Embedder in a process of the cluster. It returns errors, because Ray would wrap what is raised."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._embedder: Embedder | None = None

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        try:
            self._embedder = self._embedder or Embedder(self._job)
            return {"results": self._embedder(row["pictures"])}
        except EdgefsError as error:
            return {"error": error}

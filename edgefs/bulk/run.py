"""Embeds pictures into a folder, and goes on where an earlier run ended or was killed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edgefs.bulk.embedder import Damaged, Embedded, Job, Known, Result
from edgefs.bulk.pictures import Picture
from edgefs.bulk.ray_cluster import embed_on_cluster
from edgefs.bulk.shards import Model, only_writer, read_model, read_tables, shards_in, write_shard
from edgefs.bulk.workers import embed_here, embed_in_processes
from edgefs.errors import DataError

ROWS = 1_000  # of a file; as many pictures at most are embedded again after a kill


@dataclass
class Report:
    """What a run did.

    Attributes:
        embedded: How many pictures it embedded.
        known: How many had been embedded before, or have the same content as another one.
        damaged: Pictures that could not be used, with the reasons.
    """

    embedded: int = 0
    known: int = 0
    damaged: list[Damaged] = field(default_factory=list)


def embed_pictures(
    pictures: list[Picture],
    out: Path,
    job: Job,
    model: Model,
    *,
    processes: int = 1,
    ray: str | None = None,
    progress: Callable[[Iterable[Result]], Iterable[Result]] = iter,
) -> Report:
    """Embed pictures into a folder.

    Args:
        pictures: The pictures.
        out: The folder of the Parquet files.
        job: How they are embedded; what `out` has already is added to its `known`.
        model: What embeds them, for the files.
        processes: How many processes, with one CPU thread each.
        ray: The address of a Ray cluster, or None.
        progress: Is given the result of each picture as it comes, and passes it on.

    Raises:
        DataError: Another model filled `out`, or another run is writing it.
    """
    with only_writer(out):
        before = read_model(out)
        if before not in (None, model):
            raise DataError(
                f"{out} must have been filled by {model.bundle} ({model.fingerprint[:12]}, {model.precision}), but "
                f"{before.bundle} ({before.fingerprint[:12]}, {before.precision}) did it; choose another --out"
            )
        known = {digest for table in read_tables(out, ["sha256"]) for digest in table["sha256"].to_pylist()}
        job = Job(**{**vars(job), "known": frozenset(known)})
        return _write(out, model, known, progress(_results(job, pictures, processes, ray)))


def _results(job: Job, pictures: list[Picture], processes: int, ray: str | None) -> Iterator[Result]:
    if ray is not None:
        return embed_on_cluster(job, pictures, ray, processes)
    return embed_in_processes(job, pictures, processes) if processes > 1 else embed_here(job, pictures)


def _write(out: Path, model: Model, known: set[str], results: Iterable[Result]) -> Report:
    """Write results as they come; this process alone writes, so the files do not depend on how many embed."""
    report, rows = Report(), []
    number = max((int(path.stem.removeprefix("part-")) for path in shards_in(out)), default=-1) + 1
    try:
        for result in results:
            if isinstance(result, Damaged):
                report.damaged.append(result)
            elif isinstance(result, Known) or result.sha256 in known:
                report.known += 1
            else:
                known.add(result.sha256)
                rows.append(result)
            if len(rows) == ROWS:
                write_shard(out, number, model, rows)
                number, rows, report.embedded = number + 1, list[Embedded](), report.embedded + ROWS
    finally:  # also after Ctrl-C
        if rows:
            write_shard(out, number, model, rows)
    report.embedded += len(rows)
    return report

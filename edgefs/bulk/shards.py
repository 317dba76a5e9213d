"""Parquet files of embedded pictures, each written whole: after a kill at any point none is cut.

A folder holds `part-00000.parquet`, `part-00001.parquet` and so on, with one row for each content: its path, its label,
its sha256, its embedding, and the quality that enrolment needs. What embedded them is in the metadata of each file.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefs.bulk.embedder import Embedded
from edgefs.bulk.pictures import Picture
from edgefs.errors import DataCorrupt, DataError, DataMissing
from runtime.bundle import Bundle
from runtime.durable import write_file
from runtime.teaching.quality import FrameQuality

VERSION = "1"
NAME = "part-{:05d}.parquet"
log = logging.getLogger(__name__)
QUALITY = ("low", "high", "sharpness")


@dataclass(frozen=True)
class Model:
    """What embedded the pictures of a folder.

    Attributes:
        bundle: Name of the bundle, for people.
        fingerprint: Of the bundle.
        precision: Of the artifact.
        metric: How embeddings are compared.
        dim: Numbers of an embedding.
    """

    bundle: str
    fingerprint: str
    precision: str
    metric: str
    dim: int

    def metadata(self) -> dict[str, str]:
        """As it is in a file."""
        return {"edgefs.version": VERSION, **{f"edgefs.{name}": str(value) for name, value in vars(self).items()}}


def shards_in(folder: Path) -> list[Path]:
    """The files of a folder, in their order."""
    return sorted(folder.glob("part-*.parquet"))


def write_shard(folder: Path, number: int, model: Model, rows: Sequence[Embedded]) -> None:
    """Write one file. Raises DataError."""
    import pyarrow as pa
    from pyarrow import parquet

    flat = np.concatenate([row.embedding for row in rows])
    columns = {
        "path": pa.array([row.picture.path for row in rows], pa.string()),
        "label": pa.array([row.picture.label for row in rows], pa.string()),
        "sha256": pa.array([row.sha256 for row in rows], pa.string()),
        "embedding": pa.FixedSizeListArray.from_arrays(pa.array(flat, pa.float32()), model.dim),
        **{name: pa.array([getattr(row.quality, name) for row in rows], pa.float64()) for name in QUALITY},
    }
    written = io.BytesIO()
    parquet.write_table(pa.table(columns).replace_schema_metadata(model.metadata()), written, compression="zstd")
    try:
        write_file(folder / NAME.format(number), written.getbuffer())
    except OSError as error:
        raise DataError(f"{folder} must be writable and have space, but: {error.strerror}; free space") from error


def read_model(folder: Path) -> Model | None:
    """What embedded the pictures of a folder; None if it holds none yet. Raises DataCorrupt, DataError."""
    found = {_model_of(path) for path in shards_in(folder)}
    if len(found) > 1:
        names = ", ".join(sorted(f"{one.bundle} ({one.fingerprint[:12]}, {one.precision})" for one in found))
        raise DataError(f"{folder} must have been embedded by one model, but holds files of {names}; embed it again")
    return found.pop() if found else None


def require_model(folder: Path, bundle: Bundle) -> Model:
    """What embedded the pictures of a folder, which must be this bundle. Raises DataMissing, DataError."""
    model = read_model(folder)
    if model is None:
        raise DataMissing(
            f"{folder} must hold embedded pictures, but has no part-*.parquet; make them: "
            f"edgefs embed PICTURES --out {folder}"
        )
    if model.fingerprint != bundle.fingerprint:
        raise DataError(
            f"{folder} must have been embedded by {bundle.name} ({bundle.fingerprint[:12]}), but {model.bundle} "
            f"({model.fingerprint[:12]}) did it; name that bundle, or embed the pictures again into another folder"
        )
    return model


def read_rows(folder: Path) -> Iterator[Embedded]:
    """Yield every embedded picture of a folder. Raises DataCorrupt."""
    for path in shards_in(folder):
        table = _read(path)
        columns = {name: table[name].to_pylist() for name in ("path", "label", "sha256", *QUALITY)}
        for i, embedding in enumerate(matrix(table)):
            picture = Picture(columns["path"][i], columns["label"][i])
            quality = FrameQuality(*(columns[name][i] for name in QUALITY))
            yield Embedded(picture, columns["sha256"][i], embedding, quality)


def read_classes(folder: Path, bundle: Bundle) -> dict[str, list[Embedded]]:
    """The embedded pictures of each class, as `edgefs.data.images.pictures_below` gives pictures.

    Those without a class are left out, and are counted. Raises DataMissing, DataError, DataCorrupt.
    """
    require_model(folder, bundle)
    classes: dict[str, list[Embedded]] = {}
    without = 0
    for row in read_rows(folder):
        if row.picture.label is None:
            without += 1
        else:
            classes.setdefault(row.picture.label, []).append(row)
    if without:
        log.warning("%s: %s embedded pictures are left out, because they were in no class folder", folder, without)
    return dict(sorted(classes.items()))


def read_tables(folder: Path, columns: Sequence[str]) -> Iterator[Any]:
    """Yield the Arrow table of each file. Raises DataCorrupt."""
    for path in shards_in(folder):
        yield _read(path, columns)


def matrix(table: Any) -> NDArray[np.float32]:
    """The embeddings of a table, `float32 [N, D]`."""
    column = table["embedding"].combine_chunks()
    return np.asarray(column.flatten(), np.float32).reshape(len(column), -1)


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder. Raises DataError if one is in it."""
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DataError(
                f"{folder} must be written by one run at a time, but another is writing it; wait, or name another --out"
            ) from error
        yield


def _read(path: Path, columns: Sequence[str] | None = None) -> Any:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(path).read(columns=None if columns is None else list(columns))
    except (OSError, pa.ArrowException) as error:
        raise _damaged(path, error) from error


def _model_of(path: Path) -> Model:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        stored = parquet.read_schema(path).metadata or {}
        facts = {name.decode(): value.decode() for name, value in stored.items()}
        if facts["edgefs.version"] != VERSION:
            raise DataError(
                f"{path} must be of version {VERSION}, but is of {facts['edgefs.version']}; use a newer edgefs"
            )
        bundle, fingerprint, precision, metric, dim = (facts[f"edgefs.{field.name}"] for field in fields(Model))
        return Model(bundle, fingerprint, precision, metric, int(dim))
    except (OSError, pa.ArrowException, KeyError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> DataCorrupt:
    return DataCorrupt(
        f"{path} must be a file that edgefs embed wrote, but: {error!r}; delete it and run edgefs embed again, which "
        "embeds what is missing"
    )

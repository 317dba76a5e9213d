"""What `add` acknowledged survives kill -9 at any moment.

kill -9 cannot show power loss: what the process wrote is in the kernel's cache and reaches the disk all the same. Only
WAL with synchronous FULL promises that, so these tests also look whether both are really in force.
"""

from __future__ import annotations

import os
import random
import signal
import struct
import time
import traceback
from pathlib import Path

import numpy as np
import pytest

from runtime.gallery import NewShot, SqliteGallery, open_gallery

DIM = 16
KILLS = 100
ACK = struct.Struct("<qq")  # id, seed


def shot(seed: int) -> NewShot:
    embedding = np.random.default_rng(seed).standard_normal(DIM).astype(np.float32)
    return NewShot(embedding, b"crop of %d" % seed, f"burst {seed}", 0.5, "camera 0", float(seed))


def opened(path: Path) -> SqliteGallery:
    return open_gallery(path, fingerprint="f" * 64, dim=DIM)


def enrol_until_killed(path: Path, seed: int, acks: int, alone: bool) -> None:
    with opened(path) as gallery:
        while True:
            (id_,) = gallery.add(f"class {seed % 7}", [shot(seed)])
            os.write(acks, ACK.pack(id_, seed))  # atomic: far less than PIPE_BUF
            if alone and seed % 10 == 0:  # not alone, undo would take back what another process did
                gallery.forget(f"class {seed % 7}")
                gallery.undo()
            seed += 1


def start_child(path: Path, seed: int, alone: bool = True) -> tuple[int, int]:
    """Fork a process that enrols; return its id and the pipe of its acknowledgements."""
    acks, child_acks = os.pipe()
    child = os.fork()  # 1 ms, where a new interpreter with numpy takes 200
    if child == 0:
        try:
            enrol_until_killed(path, seed, child_acks, alone)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)  # never into pytest's own exit
    os.close(child_acks)
    return child, acks


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")  # numpy's threads; the child uses none
def test_every_acknowledged_shot_is_still_there_after_kill_9(tmp_path):
    path, dice = tmp_path / "shop.db", random.Random(0)
    acknowledged: dict[int, tuple[str, bytes]] = {}
    for kill in range(KILLS):
        child, acks = start_child(path, seed=kill * 100_000)
        with os.fdopen(acks, "rb") as pipe:
            # Counted in acknowledgements, not seconds: on a busy machine seconds would only ever hit the opening.
            seen = pipe.read(ACK.size * dice.choice([0, 0, 1, 3, 10]))
            time.sleep(dice.uniform(0, 0.005))
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            assert os.WIFSIGNALED(status), "the child failed by itself"
            for id_, seed in ACK.iter_unpack(seen + pipe.read()):
                acknowledged[id_] = f"class {seed % 7}", shot(seed).embedding.tobytes()
        with opened(path) as gallery:
            if next((operation.what for operation in gallery.history()), "").startswith("forgot"):
                gallery.undo()  # killed between the two: that is exact, too
            found = {
                int(id_): (label, row.tobytes())
                for label, shots in gallery.classes.items()
                for id_, row in zip(shots.ids, shots.embeddings, strict=True)
            }
            assert acknowledged.items() <= found.items()
            assert len(found) <= len(acknowledged) + kill + 1, "at most one unacknowledged shot for each kill"
            assert not gallery.damaged  # every digest was checked when it was opened
    assert len(acknowledged) > KILLS
    with opened(path) as gallery:
        assert all(gallery.crop(id_) is not None for id_ in acknowledged)


def test_wal_and_synchronous_full_are_really_in_force(tmp_path):
    for _ in ("created", "reopened"):
        with opened(tmp_path / "shop.db") as gallery:
            pragmas = ("journal_mode", "synchronous", "foreign_keys", "secure_delete", "trusted_schema")
            found = [gallery._file.db.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas]
            assert found == [b"wal", 2, 1, 1, 0]


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_processes_that_create_and_fill_one_gallery_at_once_lose_nothing(tmp_path):
    path, acknowledged = tmp_path / "shop.db", set()
    children = [start_child(path, seed=number * 100_000, alone=False) for number in range(3)]
    for child, acks in children:
        with os.fdopen(acks, "rb") as pipe:
            seen = pipe.read(ACK.size * 20)
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            assert os.WIFSIGNALED(status), "the child failed by itself"
            acknowledged |= {id_ for id_, _ in ACK.iter_unpack(seen + pipe.read())}
    with opened(path) as gallery:
        assert acknowledged <= {int(id_) for shots in gallery.classes.values() for id_ in shots.ids}
    assert len(acknowledged) >= 60

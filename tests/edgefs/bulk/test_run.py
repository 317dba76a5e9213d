"""Every good picture is embedded once, however many processes there are and whenever a run is killed."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from edgefs.bulk import run, workers
from edgefs.bulk.embedder import Job
from edgefs.bulk.pictures import find_pictures
from edgefs.bulk.shards import read_rows, shards_in
from edgefs.errors import WorkerLost
from runtime.bundle import Bundle

pytestmark = pytest.mark.fleet
GOOD = 100
ROOT = Path(__file__).parents[3]


def files(folder):
    return {path.name: path.read_bytes() for path in shards_in(folder)}


def rows(folder):
    return {row.sha256: row for row in read_rows(folder)}


def test_any_number_of_processes_writes_the_same_bytes(photos, embed, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "ROWS", 30)
    embed(photos, tmp_path / "one")
    embed(photos, tmp_path / "two", processes=2)
    assert len(files(tmp_path / "one")) == 4
    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_a_second_run_embeds_only_what_is_new(photos, embed, tmp_path, tiny):
    import cv2

    out = tmp_path / "out"
    embed(photos / "mug", out)
    before = files(out)
    (photos / "mug").rename(photos / "other name")  # the content counts, not the path
    report = embed(photos, out)
    assert (report.embedded, report.known) == (60, 41)
    assert files(out).items() > before.items()
    assert len(list(read_rows(out))) == len(rows(out)) == GOOD
    cv2.imwrite(str(photos / "new.png"), tiny.views(7, 1)[0])
    assert embed(photos, out).embedded == 1


KILLED = """
import sys
from pathlib import Path
from edgefs.bulk import run, shards
from edgefs.bulk.embedder import Job
from edgefs.bulk.pictures import find_pictures
from runtime.bundle import Bundle
run.ROWS = 7
bundle = Bundle.load(sys.argv[1])
if __name__ == "__main__":
    job = Job(sys.argv[1], bundle.fingerprint, "onnxruntime", "fp32", None, ())
    model = shards.Model(bundle.name, bundle.fingerprint, "fp32", bundle.metric, bundle.dim)
    print("ready", flush=True)
    run.embed_pictures(find_pictures(sys.argv[2]), Path(sys.argv[3]), job, model, processes=int(sys.argv[4]))
"""


def start(program, bundle, photos, out, processes):
    path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.Popen(
        [sys.executable, program, str(bundle), str(photos), str(out), str(processes)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
    )


def children_of(pid):
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.add(int(path.parent.name))
    return found


def test_killed_at_twenty_points_and_resumed_it_embeds_every_picture_once(photos, embed, tmp_path, tiny_bundle_dir):
    program, dice = tmp_path / "killed.py", random.Random(0)
    program.write_text(KILLED)
    out, whole, stopped, orphans = tmp_path / "out", tmp_path / "whole", 0, set()
    embed(photos, whole)
    for kill in range(20):
        if out.exists() and len(shards_in(out)) > 9:  # of 15: enough is left to be killed in
            shutil.rmtree(out)
        processes = 2 if kill % 5 == 4 else 1
        child = start(program, tiny_bundle_dir, photos, out, processes)
        assert child.stdout.readline() == b"ready\n"
        wanted = len(shards_in(out)) + dice.choice([0, 1, 2])
        deadline = time.monotonic() + 30
        while len(shards_in(out)) < wanted and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(dice.choice([0, 0.001, 0.003, 0.01, 0.03]))
        orphans |= children_of(child.pid)
        stopped += child.poll() is None
        child.kill()  # SIGKILL, unless it has ended
        child.wait()
        child.stdout.close()
        digests = [row.sha256 for row in read_rows(out)] if out.exists() else []
        assert len(digests) == len(set(digests))
    assert stopped >= 15
    embed(photos, out)
    found, wanted = rows(out), rows(whole)
    assert len(list(read_rows(out))) == len(found) == GOOD
    assert found.keys() == wanted.keys()
    for digest, row in found.items():
        assert row.picture == wanted[digest].picture
        np.testing.assert_allclose(row.embedding, wanted[digest].embedding, atol=1e-5)
    deadline = time.monotonic() + 20
    while (alive := {pid for pid in orphans if Path(f"/proc/{pid}/cwd").exists()}) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert alive == set()


def test_killed_while_it_reads_a_store_it_goes_on_and_embeds_every_picture_once(
    photos, embed, s3, tmp_path, tiny_bundle_dir
):
    program, out, address, stopped = tmp_path / "killed.py", tmp_path / "out", s3.copy(photos, "killed"), 0
    program.write_text(KILLED)
    for processes in (1, 2, 1):
        child = start(program, tiny_bundle_dir, address, out, processes)
        assert child.stdout.readline() == b"ready\n"
        wanted, deadline = len(shards_in(out)) + 1, time.monotonic() + 30
        while len(shards_in(out)) < wanted and child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.001)
        stopped += child.poll() is None
        child.kill()
        child.wait()
        child.stdout.close()
    before = len(rows(out))
    assert stopped
    assert 0 < before < GOOD
    assert embed(address, out).embedded == GOOD - before
    assert len(list(read_rows(out))) == len(rows(out)) == GOOD


def test_ctrl_c_keeps_what_was_embedded(photos, embed, tmp_path):
    def interrupted(results):
        for count, result in enumerate(results):
            if count == 50:
                raise KeyboardInterrupt
            yield result

    with pytest.raises(KeyboardInterrupt):
        embed(photos, tmp_path / "out", progress=interrupted)
    assert len(rows(tmp_path / "out")) == 50
    assert embed(photos, tmp_path / "out").embedded == GOOD - 50


def test_an_error_in_a_process_and_a_process_that_dies_end_the_run(photos, embed, tmp_path, tiny_bundle_dir):
    gone = tmp_path / "gone.edgefs"
    job = Job(str(gone), "0" * 64, "onnxruntime", "fp32", None, ())
    pictures = find_pictures(str(photos))
    with pytest.raises(Exception, match=r"gone\.edgefs"):
        list(workers.embed_in_processes(job, pictures, 2))
    with pytest.raises(WorkerLost, match="it goes on where it was"):
        list(map_killed(pictures, tiny_bundle_dir))


def map_killed(pictures, bundle_dir):
    job = Job(str(bundle_dir), Bundle.load(bundle_dir).fingerprint, "onnxruntime", "fp32", None, ())
    for result in workers.embed_in_processes(job, pictures, 2):
        for child in children_of(os.getpid()):
            with suppress(OSError):  # it ended since it was listed
                if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                    os.kill(child, signal.SIGKILL)
        yield result


def test_a_source_that_is_a_store_gives_the_same_embeddings(photos, embed, tmp_path):
    embed(photos, tmp_path / "here")
    embed(f"file://{photos}", tmp_path / "there", processes=2)
    here, there = rows(tmp_path / "here"), rows(tmp_path / "there")
    assert here.keys() == there.keys()
    assert all(row.picture.label == there[digest].picture.label for digest, row in here.items())

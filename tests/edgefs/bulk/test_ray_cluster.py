"""A Ray cluster of this machine gives the same files as a process here, also if the run is killed and started again."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgefs.bulk.embedder import Job
from edgefs.bulk.pictures import find_pictures
from edgefs.bulk.ray_cluster import embed_on_cluster
from edgefs.bulk.shards import read_rows, shards_in
from edgefs.errors import ConfigError, PackageMissing
from runtime.errors import BundleCorrupt

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.fleet
KILLED = """
import sys, time
from pathlib import Path
from edgefs.bulk import run, shards
from edgefs.bulk.embedder import Job
from edgefs.bulk.pictures import find_pictures
from runtime.bundle import Bundle

def slowly(results):
    for result in results:
        time.sleep(0.05)
        yield result

run.ROWS = 7
bundle = Bundle.load(sys.argv[1])
job = Job(sys.argv[1], bundle.fingerprint, "onnxruntime", "fp32", None, ())
model = shards.Model(bundle.name, bundle.fingerprint, "fp32", bundle.metric, bundle.dim)
run.embed_pictures(find_pictures(sys.argv[2]), Path(sys.argv[3]), job, model, processes=2, ray="local", progress=slowly)
"""


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_that_does_not_run_is_an_error_that_says_what_to_do(photos, embed, tmp_path):
    with pytest.raises(ConfigError, match=r"but is auto: .*ray start --head"):
        embed(photos, tmp_path / "out", ray="auto")  # the first test, before one starts


@pytest.fixture(scope="module")
def cluster():
    """A cluster is started by the first run that needs it, and ends after the last test."""
    yield
    import ray

    ray.shutdown()


@pytest.mark.filterwarnings("ignore")
def test_a_cluster_writes_the_same_bytes(photos, embed, tmp_path, cluster):
    embed(photos, tmp_path / "here")
    report = embed(photos, tmp_path / "ray", ray="local", processes=2)
    assert (report.embedded, report.known, len(report.damaged)) == (100, 1, 1)
    here, there = ([path.read_bytes() for path in shards_in(tmp_path / name)] for name in ("here", "ray"))
    assert here == there


@pytest.mark.filterwarnings("ignore")
def test_killed_in_the_middle_it_goes_on_and_embeds_every_picture_once(
    photos, embed, tmp_path, tiny_bundle_dir, cluster
):
    out = tmp_path / "out"
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    words = [sys.executable, "-c", KILLED, str(tiny_bundle_dir), str(photos), str(out)]
    child = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": path})
    deadline = time.monotonic() + 60
    while not (out.exists() and len(shards_in(out)) > 1) and child.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    running = child.poll() is None
    child.kill()
    child.wait()
    before = len(list(read_rows(out)))
    assert running
    assert 14 <= before < 100
    assert embed(photos, out, ray="local", processes=2).embedded == 100 - before
    found = [row.sha256 for row in read_rows(out)]
    assert len(found) == len(set(found)) == 100


@pytest.mark.filterwarnings("ignore")
def test_an_error_of_a_worker_is_the_error_that_a_process_here_raises(photos, tiny_bundle_dir, cluster):
    job = Job(str(tiny_bundle_dir), "0" * 64, "onnxruntime", "fp32", None, ())
    with pytest.raises(BundleCorrupt, match="on every machine"):
        list(embed_on_cluster(job, find_pictures(str(photos)), "local", 2))


def test_without_ray_the_error_says_what_to_install(photos, embed, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(PackageMissing, match=r"pip install 'edgefs\[ray\]'"):
        embed(photos, tmp_path / "out", ray="local")

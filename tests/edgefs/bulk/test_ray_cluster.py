"""A Ray cluster of this machine gives the same files as a process here. Ray is not in an extra: it is large."""

import importlib.util

import pytest

from edgefs.bulk.shards import shards_in
from edgefs.errors import PackageMissing

HAS_RAY = importlib.util.find_spec("ray") is not None
pytestmark = pytest.mark.fleet


@pytest.mark.slow
@pytest.mark.skipif(not HAS_RAY, reason="Ray is not installed: pip install 'ray[data]'")
@pytest.mark.filterwarnings("ignore")
def test_a_cluster_writes_the_same_bytes(photos, embed, tmp_path):
    embed(photos, tmp_path / "here")
    report = embed(photos, tmp_path / "ray", ray="local", processes=2)
    assert (report.embedded, report.known, len(report.damaged)) == (100, 1, 1)
    here, there = ([path.read_bytes() for path in shards_in(tmp_path / name)] for name in ("here", "ray"))
    assert here == there


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed")
def test_without_ray_the_error_says_what_to_install(photos, embed, tmp_path):
    with pytest.raises(PackageMissing, match=r"pip install 'ray\[data\]'"):
        embed(photos, tmp_path / "out", ray="local")

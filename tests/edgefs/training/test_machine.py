"""What a run takes of the machine."""

import os
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from edgefs.errors import ConfigError  # noqa: E402
from edgefs.training import machine  # noqa: E402


def test_threads_are_counted_where_the_system_knows_no_affinity(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    before = torch.get_num_threads()
    assert machine.machine_of(SimpleNamespace(device="cpu", threads=0)) == ("cpu", 3)
    torch.set_num_threads(before)


def test_a_missing_gpu_is_an_error_with_what_to_do(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="--device cpu"):
        machine.machine_of(SimpleNamespace(device="cuda", threads=0))


def test_the_peak_memory_is_in_megabytes():
    assert 10 < machine.peak_memory_mb() < 100_000

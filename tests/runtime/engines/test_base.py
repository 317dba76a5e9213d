"""What all engines share."""

import pytest

from runtime.engines.base import cpus, import_library
from runtime.errors import EngineMissing


def test_without_affinity_all_cpus_are_counted(monkeypatch):
    monkeypatch.delattr("os.sched_getaffinity", raising=False)  # as on Windows and macOS
    monkeypatch.setattr("os.cpu_count", lambda: 7)
    assert cpus() == 7
    monkeypatch.setattr("os.cpu_count", lambda: None)
    assert cpus() == 1


def test_a_missing_library_is_reported_with_its_install_line():
    with pytest.raises(
        EngineMissing, match=r"^Toy is not installed \(No module named 'toy_lib'\)\. Do: pip install toy$"
    ):
        import_library("toy_lib", "Toy", "Do: pip install toy")

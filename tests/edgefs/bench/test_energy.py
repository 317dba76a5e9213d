"""Energy counters, on recorded files: no machine here has one."""

import ctypes
import itertools
import time

import pytest

from edgefs.bench.energy import Nvml, Rapl, Tegrastats, open_counters

ORIN = (
    "11-24-2026 10:00:0{} RAM 2105/7620MB (lfb 4x4MB) SWAP 0/3810MB CPU [1%@729,0%@729] GR3D_FREQ 0% cpu@48.5C "
    "VDD_IN {}mW/4532mW VDD_CPU_GPU_CV 645mW/645mW VDD_SOC 1452mW/1452mW"
)
NANO = "RAM 1024/3964MB CPU [2%@102] POM_5V_IN {}/2100 POM_5V_GPU 40/40 POM_5V_CPU 280/280"


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "intel-rapl:0"
    folder.mkdir()
    (folder / "name").write_text("package-0\n")
    (folder / "max_energy_range_uj").write_text("1000000\n")
    (folder / "energy_uj").write_text("900000\n")
    return folder


def test_rapl_counts_microjoules_and_survives_the_turn_of_its_counter(package):
    counter = Rapl(package)
    assert counter.name == "RAPL package-0"
    start = counter.joules()
    (package / "energy_uj").write_text("950000\n")
    assert counter.joules() - start == pytest.approx(0.05)
    (package / "energy_uj").write_text("150000\n")
    assert counter.joules() - start == pytest.approx(0.25)


def test_only_packages_that_can_be_read_are_opened(package, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _: None)
    (package.parent / "intel-rapl:0:0").mkdir()  # a part of the package, counted in it
    (package.parent / "intel-rapl:1").mkdir()  # may not be read
    assert [counter.name for counter in open_counters(package.parent)] == ["RAPL package-0"]
    assert open_counters(package.parent / "absent") == []


@pytest.mark.parametrize(
    ("lines", "joules"),
    [
        ([ORIN.format(0, 4000), ORIN.format(1, 5000), ORIN.format(2, 3000)], 8.0),
        ([NANO.format(9999), NANO.format(2000)], 2.0),
        (["", "tegrastats: unknown board", NANO.format(2000)], 2.0),
        ([], 0.0),
    ],
)
def test_tegrastats_sums_up_the_input_rail(lines, joules):
    seconds = itertools.count()
    counter = Tegrastats(iter(lines), now_s=lambda: next(seconds))
    counter._thread.join(5)
    assert counter.joules() == pytest.approx(joules)
    counter.close()


class Library:
    """Answers as libnvidia-ml does; code: of every call to the energy counter."""

    def __init__(self, code=0):
        self.code, self.millijoules = code, 5_000
        self.closed = False

    def nvmlInit_v2(self):
        return 0

    def nvmlShutdown(self):
        self.closed = True
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index, device):
        device._obj.value = 42 + index.value
        return 0

    def nvmlDeviceGetTotalEnergyConsumption(self, device, out):
        assert isinstance(device, ctypes.c_void_p)
        out._obj.value = self.millijoules
        return self.code


def test_nvml_counts_millijoules():
    library = Library()
    counter = Nvml(library)
    start = counter.joules()
    library.millijoules += 1_500
    assert counter.joules() - start == pytest.approx(1.5)
    counter.close()
    assert library.closed


def test_an_older_gpu_without_the_counter_is_refused_when_it_is_opened():
    with pytest.raises(OSError, match="NVML answered with error 3"):
        Nvml(Library(code=3))


def test_the_thread_of_tegrastats_ends_with_its_lines():
    counter = Tegrastats(iter([ORIN.format(0, 1)]))
    deadline = time.monotonic() + 5
    while counter._thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not counter._thread.is_alive()

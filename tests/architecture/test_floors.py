"""Every dependency states the oldest version that works, and with exactly these versions the device does its job."""

import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
JOB = """
import sys, warnings
import numpy as np
import runtime.app.live  # the server and everything that it imports
import edgefs
from runtime.bundle import Bundle
from runtime.signing import make_keys
from pathlib import Path

folder = Path(sys.argv[1])
bundle = edgefs.default_bundle()
bundle.verify()
(folder / "keys").mkdir()
make_keys(folder / "maker.key").rename(folder / "keys" / "maker.pub")
path = bundle.signed(folder / "maker.key").save(folder / "a.edgefs").path
rng = np.random.default_rng(0)
things = [np.kron(rng.integers(0, 256, (8, 8, 3)), np.ones((30, 40, 1))).astype(np.uint8) for _ in range(2)]
for engine in ("onnxruntime", "openvino"):
    bundle = Bundle.load(path, trusted_keys=folder / "keys")
    with edgefs.Recognizer(bundle, gallery=folder / f"{engine}.db", engine=engine) as rec:
        for name, thing in zip("ab", things):
            assert rec.enroll(name, [np.roll(thing, 7 * i, axis=1) for i in range(4)]).accepted
        assert rec.recognize(np.roll(things[0], 3, axis=1)).candidate == "a"
print("done")
"""


def requirements():
    """Return extra -> requirements as pyproject.toml states them; "" for what is always installed."""
    toml = pytest.importorskip("tomllib", reason="Python 3.11 or later reads pyproject.toml")
    project = toml.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {"": project["dependencies"], **project["optional-dependencies"]}


def floor(requirement):
    """Return (name, oldest version) of a requirement; (name, None) if it states none."""
    name, version = re.match(r"([\w.-]+)(?:\[[^]]*\])?\s*(?:[>=]=\s*([\w.]+))?", requirement).groups()
    return name, version


def test_every_dependency_states_its_oldest_version():
    without = {
        each
        for some in requirements().values()
        for each in some
        if not each.startswith("edgefs[") and floor(each)[1] is None
    }
    assert without == set()


def test_two_extras_that_need_the_same_package_state_the_same_oldest_version():
    found = {}
    for some in requirements().values():
        for name, version in map(floor, some):
            if version is not None:
                found.setdefault(name, set()).add(version)
    assert {name: versions for name, versions in found.items() if len(versions) > 1} == {}


def test_what_is_installed_here_is_not_older():
    from importlib.metadata import PackageNotFoundError, version

    def numbers(text):
        return [int(part) for part in re.findall(r"\d+", text)]

    older = {}
    for some in requirements().values():
        for name, oldest in map(floor, some):
            try:
                here = version(name)
            except PackageNotFoundError:
                continue
            if oldest is not None and numbers(here) < numbers(oldest):
                older[name] = here, oldest
    assert older == {}


@pytest.mark.slow
def test_the_device_does_its_job_with_the_oldest_versions(tmp_path):
    wanted = [
        floor(each) for extra in ("", "pc", "app") for each in requirements()[extra] if "python_version" not in each
    ]
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    pins = [f"{name}=={version}" for name, version in wanted]
    installed = subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", *pins],
        capture_output=True,
        text=True,
        check=False,
    )
    said = installed.stderr.lower()
    if "connection" in said or (sys.version_info >= (3, 12) and "no matching distribution" in said):  # no wheels so old
        pytest.skip(
            f"the oldest versions could not be downloaded for Python {sys.version_info[:2]}: {installed.stderr[-300:]}"
        )
    assert installed.returncode == 0, installed.stderr
    done = subprocess.run([python, "-c", JOB, tmp_path], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.endswith("done\n"), done.stderr[-2000:]

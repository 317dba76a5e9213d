"""How large the package is, and how long it takes from the wheel to the demo's table.

    make dist                                                                # installs the tools that this needs
    python -m benchmarks.package                                             # on the Python that runs this
    python -m benchmarks.package --python python3.12 'chroot /srv/trixie python3' --folder /srv/shared

`make dist` runs twice and must give the same bytes. For each Python, the wheels of the dependencies are downloaded into
a folder, which is not timed; then a clean virtual environment installs `edgefs[demo]` from that folder only, and the
commands `doctor` and `demo` run there, outside the repository. The last words of each --python are the interpreter, the
ones before it how to get to it; --folder must have the same path for all of them. In the end, the dependencies are
resolved for every supported Python and processor, without installing them: this fails where a wheel is missing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import save

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
UV = ROOT / ".venv-dist" / "bin" / "uv"
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
PLATFORMS = ("x86_64-manylinux_2_35", "aarch64-manylinux_2_35")  # the C library of JetPack 6 and Ubuntu 22.04
EXTRAS = ("app", "pc,app")  # a Jetson, a PC
# Without the clone, and with the user's own packages left out.
CLEAN = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"PYTHONNOUSERSITE": "1"}


def packed() -> dict[str, Any]:
    """Sizes of the sdist and the wheel, after a check that the same commit gives the same bytes."""
    digests = []
    for _ in range(2):
        subprocess.run(["make", "dist"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        digests.append({path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(DIST.iterdir())})
    if digests[0] != digests[1]:
        raise SystemExit(f"`make dist` must give the same bytes twice, but gave {digests[0]} and then {digests[1]}")
    return {"identical_twice": True, **{f"{_kind(path)}_mb": _mb(path) for path in sorted(DIST.iterdir())}}


def from_the_wheel(python: str, folder: Path) -> dict[str, Any]:
    """Seconds from a clean environment to the demo's table, with everything installed from a local folder."""
    *reach, interpreter = shlex.split(python)
    home = folder / "home"
    home.mkdir()
    programs = home / "venv" / "bin"

    def run(*words: str | Path) -> tuple[str, float]:
        start = time.perf_counter()
        command = [*reach, "env", "-C", str(home), *map(str, words)]
        done = subprocess.run(command, env=CLEAN, check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout, round(time.perf_counter() - start, 1)

    version, _ = run(interpreter, "-c", "import platform; print(platform.python_version())")
    wheels = folder / "wheels"
    shutil.copytree(DIST, wheels, ignore=shutil.ignore_patterns("*.tar.gz"))
    _, venv_s = run(interpreter, "-m", "venv", home / "venv")
    run(programs / "python", "-m", "pip", "download", "-q", "-d", wheels, "--find-links", wheels, "edgefs[demo]")
    _, install_s = run(
        programs / "python", "-m", "pip", "install", "-q", "--no-index", "--find-links", wheels, "edgefs[demo]"
    )
    doctor, doctor_s = run(programs / "edgefs", "doctor", "--json", "-")
    demo, demo_s = run(programs / "edgefs", "demo", "--json", "-")
    (packages,) = (home / "venv" / "lib").glob("python*/site-packages")
    return {
        "python": version.strip(),
        "load_average": os.getloadavg()[0],  # seconds mean little where other programs take the processor
        "edgefs": json.loads(doctor)["edgefs"],
        "demo_passed": json.loads(demo)["passed"],
        "venv_s": venv_s,
        "install_s": install_s,
        "doctor_s": doctor_s,
        "demo_s": demo_s,
        "install_to_table_s": round(venv_s + install_s + demo_s, 1),
        "wheels_mb": _mb(wheels),
        "installed_mb": _mb(packages),
    }


def with_uvx(folder: Path) -> float:
    """Seconds of `uvx --from edgefs[demo] edgefs demo`, from the same folder of wheels, with an empty cache."""
    words = [UV, "tool", "run", "--offline", "--no-index", "--find-links", folder / "wheels", "--from", "edgefs[demo]"]
    environ = {**CLEAN, "UV_CACHE_DIR": str(folder / "uv")}
    start = time.perf_counter()
    subprocess.run(
        [*words, "--python", sys.executable, "edgefs", "demo"],
        cwd=folder / "home",
        env=environ,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return round(time.perf_counter() - start, 1)


def resolved() -> list[dict[str, Any]]:
    """The versions that a Python and a processor get; raises where a dependency has no wheel for them."""
    (wheel,) = DIST.glob("*.whl")
    rows = []
    for extras in EXTRAS:
        for python in PYTHONS:
            for platform in PLATFORMS:
                command = [UV, "pip", "compile", "-q", "--only-binary", ":all:", "--no-annotate", "-"]
                done = subprocess.run(
                    [*command, "--python-version", python, "--python-platform", platform],
                    input=f"edgefs[{extras}] @ {wheel.as_uri()}",
                    check=True,
                    stdout=subprocess.PIPE,
                    text=True,
                )
                pins = dict(line.split("==") for line in done.stdout.splitlines() if "==" in line)
                shown = {name: pins.get(name) for name in ("numpy", "onnxruntime", "openvino")}
                processor = platform.partition("-")[0]
                rows.append({"extras": extras, "python": python, "processor": processor, "wheels": len(pins), **shown})
    return rows


def _kind(path: Path) -> str:
    return "wheel" if path.suffix == ".whl" else "sdist"


def _mb(path: Path) -> float:
    files = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
    return round(sum(each.stat().st_size for each in files) / 1e6, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", nargs="+", default=[sys.executable], help="interpreters to install into")
    parser.add_argument("--folder", default=tempfile.gettempdir(), help="where environments are made for a while")
    args = parser.parse_args()
    found: dict[str, Any] = {"packed": packed(), "installed": []}
    print(found["packed"], flush=True)
    for python in args.python:
        with tempfile.TemporaryDirectory(dir=args.folder) as name:
            row = from_the_wheel(python, Path(name))
            if python == args.python[0] and len(shlex.split(python)) == 1:
                row["uvx_s"] = with_uvx(Path(name))
            found["installed"].append(row)
            print(row, flush=True)
    found["resolved"] = resolved()
    print(f"written to {save('package', found)}")


if __name__ == "__main__":
    main()

"""NVIDIA's own Triton server, from the wheel `nvidia-pytriton`, which has the server but only its Python backend.

Everything is real except the arithmetic: parsing and completing config.pbtxt, finding versions and files, checking
shapes, forming batches, switching to a new version, HTTP. `triton_backend.py`, a few lines of Python over the same
libraries, replaces the backends `onnxruntime` and `openvino`. Nothing of the wheel is committed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np

WHEEL = "nvidia-pytriton==0.7.0"
STARTS_S = 300.0  # generous, because the machine may be busy


class Unavailable(Exception):
    """The server cannot run here."""


class Refused(AssertionError):
    """The server did not take the repository; the message is its log."""


class Triton:
    """A running server.  url: "http://127.0.0.1:port/v2"; grpc: the port of gRPC."""

    def __init__(self, url: str, grpc: int) -> None:
        self.url, self.grpc = url, grpc

    def get(self, path: str) -> dict:
        with urllib.request.urlopen(f"{self.url}/{path}", timeout=STARTS_S) as answer:
            return json.loads(answer.read() or b"{}")

    def embed(self, model: str, frames: np.ndarray) -> tuple[np.ndarray, str]:
        """Embeddings `float32 [N, D]` of frames `uint8 [N, H, W, C]`, and the version that answered."""
        tensor = {"name": "frames", "shape": frames.shape, "datatype": "UINT8", "data": frames.ravel().tolist()}
        body = json.dumps({"inputs": [tensor]}).encode()
        request = urllib.request.Request(f"{self.url}/models/{model}/infer", body)
        try:
            with urllib.request.urlopen(request, timeout=STARTS_S) as answer:
                said = json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise Refused(f"{error.code}: {error.read().decode()}") from error
        (output,) = said["outputs"]
        assert output["name"] == "embeddings"
        return np.array(output["data"], np.float32).reshape(output["shape"]), said["model_version"]


@contextlib.contextmanager
def serve(root: Path, repository: Path, folder: Path, *options: str) -> Iterator[Triton]:
    """Run the server on a model repository.

    Args:
        root: The unpacked wheel.
        repository: The model repository.
        folder: For the backends and the log of the server.
        options: Further options of the server.

    Raises:
        Unavailable: A shared library is missing.
        Refused: The server does not accept the repository.
    """
    check_programs(root)
    with socket.socket() as free, socket.socket() as other:
        for each in (free, other):
            each.bind(("127.0.0.1", 0))
        port, grpc = free.getsockname()[1], other.getsockname()[1]
    command = [
        str(root / "pytriton/tritonserver/bin/tritonserver"),
        f"--model-repository={repository}",
        f"--backend-directory={_backends(root, folder)}",
        *("--http-address=127.0.0.1", f"--http-port={port}", "--grpc-address=127.0.0.1", f"--grpc-port={grpc}"),
        "--allow-metrics=false",
        *("--exit-timeout-secs=2", *options),
    ]
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": str(root / "nvidia_pytriton.libs"),
        "TEST_PATH": json.dumps(sys.path),
    }
    environment.pop("PYTHONPATH", None)
    log = folder / "server.log"
    with log.open("wb") as out, subprocess.Popen(command, env=environment, stdout=out, stderr=out) as process:
        try:
            yield _ready(Triton(f"http://127.0.0.1:{port}/v2", grpc), process, log)
        finally:
            process.kill()


def _ready(server: Triton, process: subprocess.Popen[bytes], log: Path) -> Triton:
    until = time.monotonic() + STARTS_S
    while time.monotonic() < until:
        if process.poll() is not None:
            raise Refused(log.read_text(errors="replace"))
        with contextlib.suppress(OSError):  # URLError is one
            server.get("health/ready")
            return server
        time.sleep(0.1)
    raise Refused(f"not ready after {STARTS_S} s: {log.read_text(errors='replace')}")


def _backends(root: Path, folder: Path) -> Path:
    """Triton finds a backend by its folder's name; one that is a model.py runs in the Python backend."""
    backends = folder / "backends"
    shutil.copytree(root / "pytriton/tritonserver/backends/python", backends / "python")
    stub = root / f"pytriton/tritonserver/python_backend_stubs/3.{sys.version_info.minor}/triton_python_backend_stub"
    shutil.copy(stub, backends / "python")
    (backends / "python" / stub.name).chmod(0o755)
    for name in ("onnxruntime", "openvino"):
        (backends / name).mkdir()
        shutil.copy(Path(__file__).with_name("triton_backend.py"), backends / name / "model.py")
    return backends


def check_programs(root: Path) -> None:
    """Make the programs of the unpacked wheel executable. Raises Unavailable if a shared library is missing."""
    stubs = sorted(root.glob(f"pytriton/tritonserver/python_backend_stubs/3.{sys.version_info.minor}/*_stub"))
    for program in (root / "pytriton/tritonserver/bin/tritonserver", *stubs):
        program.chmod(0o755)
        linked = subprocess.run(["ldd", str(program)], check=True, capture_output=True, text=True).stdout
        if "not found" in linked:
            raise Unavailable(f"Triton's {program.name} needs libraries this system lacks: {linked}")

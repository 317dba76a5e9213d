"""MLServer, a real server of the Open Inference Protocol v2, from an environment that `make test-fleet` makes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from runtime.bundle import Bundle

ROOT = Path(__file__).parents[1]
PROGRAM = ROOT / ".venv-mlserver" / "bin" / "mlserver"
STARTS_S = 120.0  # generous, because the machine may be busy
MODEL = "embedder"


class MlServer:
    """A server of one bundle. It can be stopped, paused and started again at the same ports.

    Args:
        folder: For the files of the server.
        bundle: What is served; its model.onnx.
    """

    def __init__(self, folder: Path, bundle: Bundle) -> None:
        self.folder = folder
        self.http, self.grpc, metrics = _free_ports(3)
        shutil.copy(Path(__file__).with_name("mlserver_runtime.py"), folder)
        (folder / "model.onnx").write_bytes(bundle.read("model.onnx"))
        settings = {"host": "127.0.0.1", "http_port": self.http, "grpc_port": self.grpc, "metrics_port": metrics}
        (folder / "settings.json").write_text(json.dumps({**settings, "parallel_workers": 0}))
        tensors = (
            ("inputs", "frames", "UINT8", [-1, *bundle.preprocess.shape]),
            ("outputs", "embeddings", "FP32", [-1, bundle.dim]),
        )
        model = {
            side: [{"name": name, "datatype": datatype, "shape": shape}] for side, name, datatype, shape in tensors
        }
        model |= {"name": MODEL, "implementation": "mlserver_runtime.OnnxRuntime", "parameters": {"uri": str(folder)}}
        (folder / "model-settings.json").write_text(json.dumps(model))
        self._process: subprocess.Popen[bytes] | None = None

    def address(self, protocol: str, budget_ms: int = 5000) -> str:
        """What `engine=` takes; protocol is "kserve" or "kserve+grpc"."""
        port = self.http if protocol == "kserve" else self.grpc
        return f"{protocol}://127.0.0.1:{port}/{MODEL}?budget_ms={budget_ms}"

    def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(self.folder)}
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "start", self.folder], env=environment, stdout=log, stderr=log, cwd=self.folder
            )
        until = time.monotonic() + STARTS_S
        while time.monotonic() < until and self._process.poll() is None:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{self.http}/v2/models/{MODEL}/ready", timeout=2).close()
                return
            time.sleep(0.2)
        raise AssertionError(f"MLServer does not start: {(self.folder / 'server.log').read_text()}")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def pause(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def serve(folder: Path, bundle: Bundle) -> Iterator[MlServer]:
    """Start a server, and kill it in the end."""
    server = MlServer(folder, bundle)
    try:
        server.start()
        yield server
    finally:
        server.kill()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]

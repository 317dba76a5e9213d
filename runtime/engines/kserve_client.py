"""A model server of the Open Inference Protocol v2: Triton, OpenVINO Model Server, KServe, MLServer. By tritonclient.

A request is sent by one of a few threads, each with its own connection, because the HTTP client belongs to one thread
and has no limit for the time of a whole request.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from numpy.typing import NDArray

from runtime.engines.base import import_library
from runtime.errors import EngineError, OptionError

SCHEMES = {"kserve": "http", "kserve+grpc": "grpc"}
INSTALL = "Do: pip install 'edgefs[kserve]'"
FRAME_MS = 66.0  # one frame of a camera with 15 frames a second
GIVE_UP_S = 2.0  # after this time a thread abandons a request, long after its answer was of use
THREADS = 4  # requests at a time


@dataclass(frozen=True)
class Address:
    """Where a model is served.

    Attributes:
        text: As it was given.
        protocol: "http" or "grpc".
        server: "host:port", of HTTP perhaps with a path after it.
        model: The name of the model.
        budget_s: The time that one frame may take, the answer of the local engine included.
    """

    text: str
    protocol: str
    server: str
    model: str
    budget_s: float


def address_of(text: str) -> Address:
    """Parse "kserve://host:port/model" or "kserve+grpc://host:port/model", perhaps with "?budget_ms=100" at its end.

    Raises:
        OptionError: It is not of this form.
    """
    try:
        parts = urlsplit(text)
        path, _, model = parts.path.rpartition("/")
        options = parse_qs(parts.query, strict_parsing=bool(parts.query), keep_blank_values=True)
        (budget_ms,) = options.pop("budget_ms", [str(FRAME_MS)])
        budget_s = float(budget_ms) / 1000
        sound = parts.scheme in SCHEMES and parts.hostname and parts.port and model and not options
        sound = sound and 0 < budget_s <= 60
    except ValueError:
        sound = False
    if not sound or parts.username is not None or (path and parts.scheme != "kserve"):
        raise OptionError(
            "engine must be a name, kserve://HOST:PORT/MODEL or kserve+grpc://HOST:PORT/MODEL, perhaps with "
            f"?budget_ms=MILLISECONDS up to 60000, but got {text!r}; for Triton the ports are 8000 and 8001"
        )
    return Address(text, SCHEMES[parts.scheme], parts.netloc + path, model, budget_s)


class KserveClient:
    """Sends frames to one model. It may be used from several threads.

    Raises:
        EngineMissing: tritonclient is not installed.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._library = import_library(f"tritonclient.{address.protocol}", "tritonclient", INSTALL)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="kserve")
        self._of_thread = threading.local()

    def check(self, shape: tuple[int, int, int], dim: int) -> Future[str]:
        """Begin to ask what is served. The result is the server's name and version.

        The future raises EngineError if the model is not ready, does not take `uint8 [N, *shape]`, or does not give
        `float32 [N, dim]`; any other exception means that there is no usable answer.
        """
        return self._pool.submit(self._with_connection, self._check, shape, dim)

    def infer(self, frames: NDArray[np.uint8]) -> Future[NDArray[np.float32]]:
        """Begin to embed `uint8 [N, H, W, C]`; the result is what the server returned, unchecked."""
        return self._pool.submit(self._with_connection, self._infer, frames)

    def close(self) -> None:
        """Begin no more requests, and do not wait for those that were begun."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _with_connection(self, do: Any, *arguments: Any) -> Any:
        """Call `do` with the connection of this thread; after an error the next call makes a new one."""
        connection = getattr(self._of_thread, "connection", None) or self._connect()
        self._of_thread.connection = None
        try:
            result = do(connection, *arguments)
        except BaseException:
            connection.close()
            raise
        self._of_thread.connection = connection
        return result

    def _connect(self) -> Any:
        if self.address.protocol == "grpc":
            # Without a pool of its own, a new connection would wait as long as older ones that were refused.
            options = [("grpc.use_local_subchannel_pool", 1)]
            return self._library.InferenceServerClient(self.address.server, channel_args=options)
        return self._library.InferenceServerClient(
            self.address.server, connection_timeout=GIVE_UP_S, network_timeout=GIVE_UP_S
        )

    def _check(self, connection: Any, shape: tuple[int, int, int], dim: int) -> str:
        limits, as_json = self._options()
        if not connection.is_model_ready(self.address.model, **limits):
            raise EngineError(f"{self.address.text} must be ready, but is not; look at the log of the server")
        server = connection.get_server_metadata(**limits, **as_json)
        model = connection.get_model_metadata(self.address.model, **limits, **as_json)
        found = [
            [(tensor["name"], tensor["datatype"], [int(n) for n in tensor["shape"]]) for tensor in model[side]]
            for side in ("inputs", "outputs")
        ]
        if found != [[("frames", "UINT8", [-1, *shape])], [("embeddings", "FP32", [-1, dim])]]:
            raise EngineError(
                f"{self.address.text} must take frames, UINT8 [-1, *{shape}], and give embeddings, FP32 [-1, {dim}], "
                f"but it has {found}; serve what `edgefs export --triton` or `--ovms` wrote of this bundle"
            )
        self._of_thread.binary = "binary_tensor_data" in server.get("extensions", ())
        return f"{server['name']} {server['version']}"

    def _infer(self, connection: Any, frames: NDArray[np.uint8]) -> Any:
        limits, _ = self._options()
        tensor = self._library.InferInput("frames", list(frames.shape), "UINT8")
        asked = self._library.InferRequestedOutput
        if self.address.protocol == "grpc":
            tensor.set_data_from_numpy(frames)
            output = asked("embeddings")
        else:
            binary = self._binary(connection)
            tensor.set_data_from_numpy(frames, binary_data=binary)
            output = asked("embeddings", binary_data=binary)
        return connection.infer(self.address.model, [tensor], outputs=[output], **limits).as_numpy("embeddings")

    def _binary(self, connection: Any) -> bool:
        """Return whether this server takes tensors as bytes in HTTP, which is an extension of the protocol."""
        known = getattr(self._of_thread, "binary", None)
        if known is None:
            known = "binary_tensor_data" in connection.get_server_metadata().get("extensions", ())
            self._of_thread.binary = known
        return bool(known)

    def _options(self) -> tuple[dict[str, float], dict[str, bool]]:
        """Return the options of a gRPC call: its limit of time, and that of an answer as JSON."""
        grpc = self.address.protocol == "grpc"
        return ({"client_timeout": GIVE_UP_S}, {"as_json": True}) if grpc else ({}, {})

"""A model server as an engine, with an engine of this device for the frames that it does not answer in time.

A server may be replaced, restarted with another model or be overloaded at any moment. So one golden frame travels with
every request: what comes back is used only if that frame has the embedding that the bundle states.
"""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as Late  # another class than the built-in one before Python 3.11
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import Bundle
from runtime.engines.base import Engine, agreement, check_inputs
from runtime.engines.kserve_client import GIVE_UP_S, Address, KserveClient, address_of
from runtime.errors import EngineError

__all__ = ["ServedEngine", "address_of", "open_served"]

log = logging.getLogger(__name__)

MAX_REQUEST = 8  # frames of one request, with the golden one; what `edgefs export --triton` lets a server take
FIRST_WAIT_S, MAX_WAIT_S = 1.0, 60.0  # until a server that failed is asked again; doubled after each failure


class Client(Protocol):
    """What the engine needs of `KserveClient`."""

    address: Address

    def check(self, shape: tuple[int, int, int], dim: int) -> Future[str]: ...

    def infer(self, frames: NDArray[np.uint8]) -> Future[NDArray[np.float32]]: ...

    def close(self) -> None: ...


def open_served(bundle: Bundle, address: Address, local: Engine) -> ServedEngine:
    """Return an engine that asks a server. `local` is closed with it.

    Raises:
        EngineMissing: tritonclient is not installed. A server that is away or serves another model is no error.
    """
    try:
        return ServedEngine(bundle, KserveClient(address), local)
    except BaseException:
        local.close()
        raise


class ServedEngine:
    """Embeds on a server, and with an engine of this device whenever the server is late, gone or wrong.

    Args:
        bundle: The bundle that the server serves.
        client: The server.
        local: An engine opened on the bundle, which is closed with this one.

    Attributes:
        info: Of the engine in use. `device` says where that is, `reason` why.
        served: Whether the server is in use.
        local_frames: How many frames the local engine has embedded.
    """

    def __init__(self, bundle: Bundle, client: Client, local: Engine) -> None:
        self._client, self._local = client, local
        self._shape, self._dim, self._where = bundle.preprocess.shape, bundle.dim, client.address.text
        self._golden, self._expected = bundle.golden()
        self._min_cosine = next(a.min_cosine for a in bundle.artifacts if a.file == local.info.artifact)
        self._local_s = self._seconds_of_local()
        self._changing = threading.Lock()
        self._asked = 0
        self._wait_s, self._retry_at = FIRST_WAIT_S, 0.0
        self._checking = False
        self.info = local.info
        self.served = True  # until the check below, so that a server that is away at the beginning is news
        self.local_frames = 0
        self._check()

    def embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Engine.embed`."""
        check_inputs(frames, self._shape)
        parts = [self._embed(frames[i : i + MAX_REQUEST - 1]) for i in range(0, len(frames), MAX_REQUEST - 1)]
        return np.concatenate(parts) if parts else self._local.embed(frames)

    def close(self) -> None:
        """See `Engine.close`."""
        self.served, self._retry_at = False, float("inf")
        self._client.close()
        self._local.close()

    def _embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        if self.served:
            try:
                return self._embed_there(frames)
            except Exception as error:  # the clients of HTTP and gRPC raise errors of many kinds
                self._use_local(error)
        elif time.monotonic() >= self._retry_at:
            self._check_in_background()
        self.local_frames += len(frames)
        return self._local.embed(frames)

    def _embed_there(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Embed on the server. Raises an exception if it is late, or if what it returns is not of this model."""
        golden = self._asked % len(self._golden)
        self._asked += 1
        request = self._client.infer(np.concatenate([frames, self._golden[golden : golden + 1]]))
        try:
            answer = request.result(timeout=self._patience_s(len(frames)))
        except Late as error:
            request.cancel()
            raise EngineError(f"no answer within {1000 * self._patience_s(len(frames)):.0f} ms") from error
        self._compare(answer, len(frames) + 1, self._expected[golden : golden + 1])
        return np.array(answer[:-1])  # a copy that belongs to the caller

    def _compare(self, answer: NDArray[np.float32], count: int, expected: NDArray[np.float32]) -> float:
        """Return the agreement of the last embeddings with the expected ones. Raises EngineError if it is too low."""
        if not isinstance(answer, np.ndarray) or answer.shape != (count, self._dim) or answer.dtype != np.float32:
            found = f"{answer.dtype} {answer.shape}" if isinstance(answer, np.ndarray) else type(answer).__name__
            raise EngineError(f"it must return float32 {(count, self._dim)}, but returned {found}")
        if not np.isfinite(answer).all():
            raise EngineError("it returned numbers that are not finite")
        worst = float(agreement(answer[-len(expected) :], expected).min())
        if worst < self._min_cosine:
            raise EngineError(
                f"it must reproduce the golden frames with cosine ≥ {self._min_cosine}, but the worst is {worst:.4f}: "
                "another model is served"
            )
        return worst

    def _patience_s(self, count: int) -> float:
        """Return how long the server may take, so that the local engine can still answer within the budget."""
        budget_s = self._client.address.budget_s
        return count * max(budget_s - self._local_s, budget_s / 2)

    def _seconds_of_local(self) -> float:
        """Return how long the local engine takes for a frame: the longest of a few calls, but not the first one."""
        times = []
        for _ in range(4):
            start = time.perf_counter()
            self._local.embed(self._golden[:1])
            times.append(time.perf_counter() - start)
        return max(times[1:])

    def _check(self) -> None:
        """Ask what is served and embed all golden frames there; use the server if both are as they must be."""
        try:
            server = self._client.check(self._shape, self._dim).result(timeout=GIVE_UP_S)
            worst = 1.0
            for i in range(0, len(self._golden), MAX_REQUEST):
                some = slice(i, i + MAX_REQUEST)
                answer = self._client.infer(self._golden[some]).result(timeout=GIVE_UP_S)
                worst = min(worst, self._compare(answer, len(self._golden[some]), self._expected[some]))
        except Exception as error:  # see `_embed`
            self._use_local(error)
        else:
            self._use_server(server, worst)

    def _check_in_background(self) -> None:
        with self._changing:
            if self._checking:
                return
            self._checking = True
        threading.Thread(target=self._check, name="kserve check", daemon=True).start()

    def _use_server(self, server: str, worst: float) -> None:
        with self._changing:
            self._checking = False
            if self._retry_at == float("inf"):  # closed meanwhile
                return
            reason = f"{server} reproduces the golden frames"
            self.info = replace(self._local.info, name="kserve", device=self._where, golden_cosine=worst, reason=reason)
            self.served, self._wait_s = True, FIRST_WAIT_S
        log.info("%s: %s and is used.", self._where, reason)

    def _use_local(self, error: Exception) -> None:
        why = str(error) or type(error).__name__
        with self._changing:
            checked, self._checking, news = self._checking, False, self.served
            if self._retry_at == float("inf") or not (checked or news):  # closed, or another thread was first
                return
            self._retry_at = time.monotonic() + self._wait_s
            self._wait_s = min(2 * self._wait_s, MAX_WAIT_S)
            self.served = False
            local = self._local.info
            self.info = replace(local, device="here", reason=f"{self._where} is not used: {why}")
        if news:
            log.warning(
                "%s is not used: %s. %s on this device embeds until the server is back.", self._where, why, local.name
            )

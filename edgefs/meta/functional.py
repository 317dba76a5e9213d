"""A network whose weights are an argument, and worker threads that each own a copy of it.

`torch.func.functional_call` replaces tensors on the shared module, so two threads cannot use it at once, and it costs
more than a layer of a small network. Here each thread has its own copy and sets the weights of that.

The layers of a 5-image task are too small to be split over threads, so two tasks on two single-threaded workers are
faster than one task on two threads.
"""

from __future__ import annotations

import copy
import queue
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from edgefs.meta.second_order import use_fast_derivatives

Result = TypeVar("Result")


class Functional:
    """A copy of a network that is called with its weights.

    Args:
        running: Normalise by the running statistics of the network, and share them, instead of by each batch.
        twice: The result will be differentiated twice (`edgefs/meta/second_order.py`).
    """

    def __init__(self, network: nn.Module, *, running: bool = False, twice: bool = False) -> None:
        self.network = copy.deepcopy(network).train(not running)
        for module, original in zip(self.network.modules(), network.modules(), strict=True):
            if running:
                module._buffers = original._buffers  # shared, so that statistics loaded later are used too
            elif isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.running_mean = module.running_var = module.num_batches_tracked = None
                module.track_running_stats = False
        if twice:
            use_fast_derivatives(self.network)
        self._slots: list[tuple[dict[str, Any], str]] = [
            (module._parameters, name)
            for module in self.network.modules()
            for name, weight in module._parameters.items()
            if weight is not None
        ]

    def __call__(self, weights: Sequence[Tensor], x: Tensor) -> Tensor:
        """The output for x; the weights are in the order of `network.parameters()`."""
        return self._with(weights)(x)  # type: ignore[no-any-return]

    def features(self, weights: Sequence[Tensor], x: Tensor) -> Tensor:
        """The input of the network's head."""
        return self._with(weights).features(x)  # type: ignore[no-any-return]

    def _with(self, weights: Sequence[Tensor]) -> Any:
        for (slots, name), weight in zip(self._slots, weights, strict=True):
            slots[name] = weight
        return self.network


class WorkerThreads:
    """Threads that run a function over tasks, each on its own copy of a network."""

    def __init__(self, network: nn.Module, workers: int, *, running: bool = False, twice: bool = False) -> None:
        self._networks: queue.SimpleQueue[Functional] = queue.SimpleQueue()
        for _ in range(max(1, workers)):
            self._networks.put(Functional(network, running=running, twice=twice))
        self._pool = (
            ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) if workers > 1 else None
        )

    def map(self, work: Callable[[Functional, int], Result], n_tasks: int) -> list[Result]:
        """Call `work(network, index)` for every task; results in the order of the tasks."""

        def one(index: int) -> Result:
            network = self._networks.get()
            try:
                return work(network, index)
            finally:
                self._networks.put(network)

        if self._pool is None:
            return [one(index) for index in range(n_tasks)]
        return list(self._pool.map(one, range(n_tasks)))

"""More than one process: `torchrun --nproc-per-node=2 -m edgefs.cli train …`.

Every process holds the same weights and takes every r-th episode of a step; gradients are averaged in one all-reduce
over one flat tensor. DistributedDataParallel computes the same, but its backward hooks do not fire for gradients that
MAML and Reptile compute themselves. The back end is gloo on CPUs and nccl on GPUs.

When a process dies, the next exchange of the others fails, at once (gloo sees the closed connection) or after TIMEOUT.
They stop with WorkerLost, and torchrun ends the job. Only rank 0 writes files, so the checkpoint is whole.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from edgefs.errors import WorkerLost

TIMEOUT = datetime.timedelta(seconds=25)


@dataclass(frozen=True)
class Team:
    """The processes of a job. A team of one does nothing."""

    rank: int = 0
    world: int = 1
    group: Any = None

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Give every process rank 0's values, in place."""
        if self.world > 1:
            for tensor in tensors:
                self._exchange(dist.broadcast, tensor, 0)

    def average(self, tensors: list[Tensor]) -> None:
        """Replace tensors by their mean over processes, in place, in one exchange."""
        if self.world > 1 and tensors:
            flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
            self._exchange(dist.all_reduce, flat)
            flat /= self.world
            for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=False):
                tensor.copy_(part.view_as(tensor))

    def close(self) -> None:
        if self.world > 1 and dist.is_initialized():
            dist.destroy_process_group()

    def _exchange(self, operation: Any, *arguments: Any) -> None:
        try:
            operation(*arguments, group=self.group)
        except RuntimeError as error:
            raise WorkerLost(
                f"process {self.rank} of {self.world} lost another one ({str(error).splitlines()[0]}); "
                "the last checkpoint is whole: start the job again with --resume"
            ) from error


def join_team(device: str) -> Team:
    """The processes that torchrun started, or a team of one."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world == 1:
        return Team()
    dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return Team(dist.get_rank(), world, dist.new_group(timeout=TIMEOUT))


def gradients_of(method: nn.Module) -> list[Tensor]:
    """The gradients of a method's parameters, zeros where there is none, so that every process has the same list."""
    for parameter in method.parameters():
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    return [parameter.grad for parameter in method.parameters() if parameter.grad is not None]


def float_buffers(method: nn.Module) -> list[Tensor]:
    """Running statistics and second moments: averaged over processes after every step, like gradients."""
    return [buffer for buffer in method.buffers() if buffer.is_floating_point() and buffer.dtype == torch.float32]

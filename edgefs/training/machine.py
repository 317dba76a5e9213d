"""What a run takes of the machine: device, threads, memory; and how the machine may ask it to stop."""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from edgefs.errors import ConfigError
from edgefs.training.allocator import keep_pages
from edgefs.training.distributed import Team


def machine_of(config: Any) -> tuple[str, int]:
    """The device, and the threads this process takes; also tells torch and malloc."""
    available = torch.cuda.is_available()
    if config.device == "cuda" and not available:
        raise ConfigError("device must be one this machine has, but torch finds no GPU here; say --device cpu")
    threads = config.threads or max(1, len(os.sched_getaffinity(0)) // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    torch.set_num_threads(threads)
    keep_pages()
    if not available or config.device == "cpu":
        return "cpu", threads
    device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    torch.cuda.set_device(device)
    return device, threads


def computes_bf16(device: str) -> bool:
    """Whether the machine has bfloat16 arithmetic. One that has not emulates it, slower than float32."""
    if device != "cpu":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return any(flag in flags for flag in ("avx512_bf16", "amx_bf16", " bf16"))


@contextmanager
def interruptible(team: Team) -> Iterator[threading.Event]:
    """Ctrl-C and SIGTERM end the run after the step in hand, with its state saved. In a team they end it at once."""
    stop = threading.Event()
    if team.world > 1 or threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def peak_memory_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

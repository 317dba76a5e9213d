"""The device, threads and memory of a run, and the signals that end it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from edgefs.errors import ConfigError
from edgefs.networks.allocator import keep_pages
from edgefs.training.distributed import Team
from runtime.engines.base import cpus


def machine_of(config: Any) -> tuple[str, int]:
    """The device and the number of threads of a run; also configures torch and malloc. Raises ConfigError."""
    available = torch.cuda.is_available()
    if config.device == "cuda" and not available:
        raise ConfigError("device must be one this machine has, but torch finds no GPU here; say --device cpu")
    threads = config.threads or max(1, cpus() // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    torch.set_num_threads(threads)
    keep_pages()
    if not available or config.device == "cpu":
        return "cpu", threads
    device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    torch.cuda.set_device(device)
    return device, threads


def computes_bf16(device: str) -> bool:
    """Whether the machine has bfloat16 arithmetic; others emulate it, slower than float32."""
    if device != "cpu":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return any(flag in flags for flag in ("avx512_bf16", "amx_bf16", " bf16"))


@contextmanager
def interruptible(team: Team) -> Iterator[threading.Event]:
    """Ctrl-C and SIGTERM end a run after the current step, with its state saved; a run of several processes at once."""
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
    """The most memory this process has had; 0 where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak >> 20 if sys.platform == "darwin" else peak >> 10  # bytes on macOS, KiB elsewhere

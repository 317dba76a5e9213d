"""Two processes: the same weights as one, and a lost process ends the job with the checkpoint whole."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from edgefs.checkpoint import load_state  # noqa: E402
from edgefs.training.loop import train  # noqa: E402

SCRIPT = """
import sys
from edgefs.errors import TrainError
from edgefs.training.loop import train
try:
    train(**eval(sys.argv[1]), quiet=True)
except TrainError as error:
    sys.exit(type(error).__name__)
"""


def start(config, world=2):
    """Start `world` processes as torchrun would; they find each other through the environment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {
        **os.environ,
        "WORLD_SIZE": str(world),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
    }
    return [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, repr(config.to_json())],
            env={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(world)
    ]


def finish(processes):
    """Wait for all; returns (status, stderr) of each. None is left behind."""
    try:
        return [(process.wait(timeout=300), process.stderr.read()) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


@pytest.mark.parametrize("method", ["maml", "reptile"])
def test_two_processes_end_with_the_weights_of_one(small_config, tmp_path, method):
    train(small_config(method, tasks=2, out=str(tmp_path / "one")), quiet=True)
    for status, errors in finish(start(small_config(method, tasks=2, out=str(tmp_path / "two")))):
        assert status == 0, errors
    one, two = (load_state(tmp_path / name / "state.pt") for name in ("one", "two"))
    for name, value in one["method"].items():
        assert torch.allclose(value, two["method"][name], atol=1e-4), name


def test_a_killed_process_ends_the_job_within_30_seconds_and_the_checkpoint_is_whole(small_config, tmp_path):
    processes = start(small_config("maml", tasks=2, steps=100_000, val_every=5, checkpoint_minutes=0.001))
    state, deadline = tmp_path / "run" / "state.pt", time.monotonic() + 300
    while not (state.exists() and load_state(state)["step"] >= 5) and time.monotonic() < deadline:
        time.sleep(0.2)
    processes[1].send_signal(signal.SIGKILL)
    killed = time.monotonic()
    (status, errors), _ = finish(processes)
    assert time.monotonic() - killed < 30
    assert status != 0
    assert "WorkerLost" in errors
    assert load_state(state)["step"] >= 5


def test_tasks_that_do_not_divide_among_the_processes_are_refused(small_config):
    for _, errors in finish(start(small_config(tasks=1))):
        assert "ConfigError" in errors

"""Two nodes with a network between them, as docs/training.md starts them: one is lost, comes back, and the run goes on.

A node is a network namespace, so this needs root on Linux.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.torch, pytest.mark.slow]

from edgefs.checkpoint import load_state  # noqa: E402
from edgefs.training.loop import train  # noqa: E402

STEPS, WAIT_S = 300, 150
ADDRESSES = ("10.77.0.1", "10.77.0.2")
# As in docs/training.md: the same line starts a node, and starts it again.
SCRIPT = """
resume=; [ -e "$OUT/state.pt" ] && resume=--resume
exec {python} -m edgefs.cli train maml --data folder --root {root} --out "$OUT" --size 16 --backbone conv4_32 \\
  --threads 1 --n-way 3 --val-way 3 --n-shot 1 --n-query 3 --val-query 3 --val-episodes 20 --inner-steps 2 \\
  --val-inner-steps 2 --tasks 2 --steps {steps} --val-every 20 --checkpoint-minutes 0.001 $resume
"""


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def nodes():
    """The names of two namespaces, joined by a cable."""
    if os.geteuid() or shutil.which("ip") is None:
        pytest.skip("network namespaces need root and iproute2")
    names = [f"edgefs-{os.getpid()}-{i}" for i in range(2)]
    cable = [f"ve{os.getpid() % 100_000}{end}" for end in "ab"]
    made = []
    try:
        for name in names:
            ip("netns", "add", name)
            made.append(name)
        ip("link", "add", cable[0], "netns", names[0], "type", "veth", "peer", "name", cable[1], "netns", names[1])
        for name, end, address in zip(names, cable, ADDRESSES, strict=True):
            ip("-n", name, "address", "add", f"{address}/24", "dev", end)
            ip("-n", name, "link", "set", end, "up")
            ip("-n", name, "link", "set", "lo", "up")
    except subprocess.CalledProcessError as error:
        for name in made:
            ip("netns", "delete", name)
        pytest.skip(f"no network namespaces here: {error.stderr.decode()}")
    yield list(zip(names, cable, ADDRESSES, strict=True))
    for name in names:
        lose(name)
        ip("netns", "delete", name)


def lose(name):
    """End every process of a node at once."""
    pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=True).stdout.split()
    for pid in pids:
        subprocess.run(["kill", "-9", pid], check=False, capture_output=True)


def start(rank, nodes, script, out, log):
    """Start a node as docs/training.md does: torchrun is started again until the run has ended well."""
    name, cable, _ = nodes[rank]
    torchrun = Path(sys.executable).with_name("torchrun")
    command = f"{torchrun} --nnodes=2 --nproc-per-node=1 --node-rank={rank} --master-addr={ADDRESSES[0]} "
    command += f"--master-port=29400 --no-python sh {script}"
    own = {"OUT": str(out), "GLOO_SOCKET_IFNAME": cable, "OMP_NUM_THREADS": "1"}
    loop = ["ip", "netns", "exec", name, "sh", "-c", f"until {command}; do sleep 1; done"]
    with log.open("ab") as file:
        return subprocess.Popen(loop, stdout=file, stderr=file, env={**os.environ, **own})


def until(what, log):
    end = time.monotonic() + WAIT_S
    while not what():
        assert time.monotonic() < end, log.read_text()[-3000:]
        time.sleep(0.5)


def test_a_node_that_is_lost_and_comes_back_resumes_and_the_weights_are_those_of_an_uninterrupted_run(
    nodes, small_config, small_data, tmp_path
):
    options = {"steps": STEPS, "val_every": 20, "out": str(tmp_path / "one")}
    train(small_config("maml", **options), quiet=True)
    out, script, logs = tmp_path / "two", tmp_path / "train.sh", [tmp_path / f"node{i}.log" for i in range(2)]
    script.write_text(SCRIPT.format(python=sys.executable, root=small_data, steps=STEPS))
    first, second = (start(rank, nodes, script, out, logs[rank]) for rank in range(2))
    until(lambda: (out / "state.pt").exists() and load_state(out / "state.pt")["step"] >= 20, logs[0])
    lose(nodes[1][0])
    second.wait()
    lost_at = load_state(out / "state.pt")["step"]
    assert lost_at < STEPS
    until(lambda: "lost another one" in logs[0].read_text(), logs[0])
    assert first.poll() is None  # the other node waits
    second = start(1, nodes, script, out, logs[1])
    assert (first.wait(WAIT_S), second.wait(WAIT_S)) == (0, 0), logs[0].read_text()[-3000:]
    one, two = (load_state(folder / "state.pt") for folder in (tmp_path / "one", out))
    assert two["step"] == STEPS
    for name, value in one["method"].items():
        assert torch.allclose(value, two["method"][name], atol=1e-3), name

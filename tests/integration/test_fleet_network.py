"""Three devices in network namespaces of their own: what one is taught, the others name within a second."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.fleet
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root")
TESTS = Path(__file__).parents[1]
BRIDGE, NET = "edgefsbr0", "10.213.7"
TIMES = 30


def ip(*words: str, check: bool = True) -> None:
    subprocess.run(["ip", *words], check=check, capture_output=True)


@pytest.fixture
def namespaces():
    """Three networks that reach the database only through a bridge."""
    names = [f"edgefs{i}" for i in range(3)]
    ip("link", "add", BRIDGE, "type", "bridge")
    ip("addr", "add", f"{NET}.1/24", "dev", BRIDGE)
    ip("link", "set", BRIDGE, "up")
    for i, name in enumerate(names):
        ip("netns", "add", name)
        ip("link", "add", f"efv{i}", "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("link", "set", f"efv{i}", "master", BRIDGE, "up")
        ip("-n", name, "addr", "add", f"{NET}.{i + 2}/24", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        ip("-n", name, "link", "set", "lo", "up")
    yield names
    for name in names:
        ip("netns", "del", name, check=False)
    ip("link", "del", BRIDGE, check=False)


@as_root
def test_the_others_know_it_within_a_second(namespaces, postgres, site, tmp_path):
    spec = importlib.util.spec_from_file_location("fleet_site", TESTS / "fleet_site.py")
    harness = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(harness)
    with (postgres.data / "pg_hba.conf").open("a") as rules:
        rules.write(f"host all all {NET}.0/24 trust\n")
    postgres.settings["listen_addresses"] = f"127.0.0.1,{NET}.1"
    postgres.kill()
    postgres.start()
    url = site.replace("127.0.0.1", f"{NET}.1")
    devices = [
        harness.Device(f"{url}?device=d{i}&copy={tmp_path}/d{i}.db", 0, ("ip", "netns", "exec", name))
        for i, name in enumerate(namespaces)
    ]
    try:
        for device in devices:
            device.ask("labels")
        lags = []
        for i in range(TIMES):
            maker, *others = devices[i % 3 :] + devices[: i % 3]
            for other in others:
                other.tell("when", f"class {i}")
            taught = maker.ask("teach", f"class {i}", [f"M0.{i}.0"])
            assert "ok" in taught
            durable = time.monotonic()
            lags += [other.answer()["ok"] - durable for other in others]
        print(f"p50 {np.percentile(lags, 50):.3f} s, p95 {np.percentile(lags, 95):.3f} s, most {max(lags):.3f} s")
        assert np.percentile(lags, 95) < 1.0
        ip("-n", namespaces[1], "link", "set", "eth0", "down")  # packets vanish, and nobody is told
        assert "ok" in devices[1].ask("teach", "far away", ["M0.99.0"])
        assert "ok" in devices[0].ask("teach", "here", ["M0.98.0"])
        ip("-n", namespaces[1], "link", "set", "eth0", "up")
        for label, device in (("far away", devices[0]), ("here", devices[1])):
            device.ask("when", label)
    finally:
        for device in devices:
            device.kill()

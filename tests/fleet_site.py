"""Devices as processes, the network between them and PostgreSQL, and the check of what they end up with."""

from __future__ import annotations

import json
import os
import random
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from pathlib import Path

import psycopg

from runtime.fleet.events import Event, EventKey, ShotKey
from runtime.fleet.fold import fold

TESTS = Path(__file__).parent
PATIENCE_S = 40.0  # for devices to have everything after all faults are mended
LABELS = ["mug", "cup", "bowl", "plate"]


class Proxy:
    """The network of one device: it can be cut, and it can lose the answers of the database while it takes requests."""

    def __init__(self, port: int) -> None:
        self._target, self.up, self.deaf, self.deaf_from = port, True, False, b""
        self._open: set[socket.socket] = set()
        self._server = socket.create_server(("127.0.0.1", 0), backlog=20)
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            if not self.up:
                return
            with socket.create_connection(("127.0.0.1", self._target), 5) as server:
                self._open |= {client, server}
                while True:
                    for one in select.select([client, server], [], [], 60)[0]:
                        if not (data := one.recv(1 << 16)):
                            return
                        if one is client:
                            self.deaf = self.deaf or bool(self.deaf_from and self.deaf_from in data)
                            server.sendall(data)
                        elif not self.deaf:
                            client.sendall(data)

    def cut(self) -> None:
        """End every connection and refuse new ones."""
        self.up = False
        self._end()

    def heal(self) -> None:
        if self.deaf:
            self._end()
        self.up, self.deaf, self.deaf_from = True, False, b""

    def _end(self) -> None:
        while self._open:
            with suppress(OSError):
                self._open.pop().shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self.cut()
        self._server.close()


class Device:
    """A process of tests/fleet_device.py, which can be killed and started again on the same files."""

    def __init__(self, url: str, offset_s: float, prefix: tuple[str, ...] = (), program: Path | None = None) -> None:
        self._command = [*prefix, sys.executable, str(program or TESTS / "fleet_device.py"), url, str(offset_s)]
        self._process: subprocess.Popen[str] | None = None
        self.start()

    @property
    def alive(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        env = {**os.environ, "PYTHONPATH": str(TESTS.parent)}
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env
        )

    def tell(self, do: str, *arguments: object) -> None:
        assert self._process
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"do": do, "with": arguments}) + "\n")
        self._process.stdin.flush()

    def answer(self) -> dict:
        assert self._process
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the device ended by itself"
        answer = json.loads(line)
        return self.answer() if "ready" in answer else answer

    def ask(self, do: str, *arguments: object) -> dict:
        self.tell(do, *arguments)
        return self.answer()

    def kill(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGKILL)
        self._end()

    def stop(self) -> None:
        if self._process:
            self._process.stdin.close()  # type: ignore[union-attr]
            self._end()

    def _end(self) -> None:
        assert self._process
        self._process.communicate() if not self._process.stdin.closed else self._process.wait()  # type: ignore[union-attr]
        self._process.stdout.close()  # type: ignore[union-attr]
        self._process = None


class Schedule:
    """One seeded run of three devices under faults, and the check after everything is healed."""

    def __init__(self, postgres, url: str, folder: Path, seed: int, program: Path | None = None) -> None:
        self._postgres, self._url, self._folder, self._rng = postgres, url, folder, random.Random(seed)
        self._seed = seed
        self.acknowledged: list[EventKey] = []
        self.taught: dict[str, bool] = {}  # marker -> whether it was acknowledged
        self.proxies = [Proxy(postgres.port) for _ in range(3)]
        year_s = 365 * 86400
        self.devices = [
            Device(self._device_url(i), offset_s, program=program) for i, offset_s in enumerate((0, year_s, -year_s))
        ]

    def _device_url(self, i: int) -> str:
        url = self._url.replace(f":{self._postgres.port}/", f":{self.proxies[i].port}/")
        return f"{url}?device=d{i}&copy={self._folder}/d{i}.db"

    def run(self, steps: int) -> None:
        for step in range(steps):
            self._fault()
            i = self._rng.randrange(3)
            if self.devices[i].alive:
                self._change(i, step)
            time.sleep(self._rng.choice([0, 0, 0.02, 0.1]))

    def _fault(self) -> None:
        i, what = self._rng.randrange(3), self._rng.random()
        device, proxy = self.devices[i], self.proxies[i]
        if what < 0.12:
            proxy.cut()
        elif what < 0.16:
            proxy.deaf = True
        elif what < 0.2:
            proxy.deaf_from = b"COMMIT"
        elif what < 0.4:
            proxy.heal()
        elif what < 0.5 and device.alive:
            device.kill()
        elif what < 0.6 and not device.alive:
            device.start()
        elif what < 0.63:
            self._postgres.kill()
            self._postgres.start()

    def _change(self, i: int, step: int) -> None:
        rng, device = self._rng, self.devices[i]
        kind = rng.choice(["teach"] * 6 + ["forget", "forget now", "rename", "merge", "undo", "redo", "remove", "move"])
        one, other = rng.sample(LABELS, 2)
        arguments: list[object] = [one]
        if kind == "teach":
            markers = [f"M{self._seed}.{step}.{k}" for k in range(rng.randint(1, 3))]
            self.taught.update(dict.fromkeys(markers, False))
            arguments.append(markers)
        elif kind in ("rename", "merge", "move"):
            arguments.append(other)
        elif kind in ("undo", "redo"):
            arguments = []
        device.tell(kind, *arguments)
        if rng.random() < 0.06:  # killed in the middle of a change: it may be made or not
            time.sleep(rng.random() * 0.02)
            device.kill()
            return
        answer = device.answer()
        self.acknowledged += [EventKey(*key) for key in answer["made"]]
        if kind == "teach" and "ok" in answer:
            self.taught.update(dict.fromkeys(arguments[1], True))  # type: ignore[call-overload]

    def teach(self, i: int, label: str) -> bool:
        """Teach one shot on a device; return whether it was acknowledged."""
        marker = f"M{self._seed}.0.{len(self.taught)}"
        answer = self.devices[i].ask("teach", label, [marker])
        self.acknowledged += [EventKey(*key) for key in answer["made"]]
        self.taught[marker] = "ok" in answer
        return self.taught[marker]

    def heal(self) -> None:
        """Mend everything, and wait until every device says that it has everything."""
        for proxy in self.proxies:
            proxy.heal()
        for device in self.devices:
            if not device.alive:
                device.start()
        for _ in range(2):  # the second time, all know what the others sent in the first one
            for device in self.devices:
                end = time.monotonic() + PATIENCE_S
                while not device.ask("sync", 3.0)["ok"]:
                    assert time.monotonic() < end, f"not in step: {device.ask('status')['ok']}"

    def check(self) -> None:
        """Raise AssertionError unless all devices are the same and nothing was lost, doubled or kept."""
        contents = [device.ask("content")["ok"] for device in self.devices]
        assert contents[0] == contents[1] == contents[2], "the devices differ"
        with closing(psycopg.connect(self._url, autocommit=True)) as db:
            rows = db.execute("SELECT origin, n, seen, body::text, time_s, seq FROM edgefs.events ORDER BY seq")
            events = [
                Event.parsed(EventKey(origin, n), text, seen=seen, time_s=time_s, seq=seq)
                for origin, n, seen, text, time_s, seq in rows
            ]
            crops = {
                ShotKey(*key): bytes(crop).decode()
                for *key, crop in db.execute("SELECT origin, n, i, crop FROM edgefs.shots")
            }
        state, keys = fold(events), {event.key for event in events}
        assert not [key for key in self.acknowledged if key not in keys], "an acknowledged change was lost"
        assert {label: len(shots) for label, shots in state.classes.items()} == {
            label: len(shots) for label, shots in contents[0].items()
        }, "the devices are not what the events say"
        assert not state.places.keys() - crops.keys(), "a shot was lost"
        assert not state.dead & crops.keys(), "the bytes of a forgotten shot are in the database"
        assert len(crops) == len(set(crops.values())), "a change was made twice"
        acknowledged = sum(self.taught.values())
        taught = [key for event in events for key, _, _ in event.taught()]
        assert acknowledged <= len(taught) <= len(self.taught), (
            f"not every change was made once: {acknowledged} {len(taught)} {len(self.taught)}"
        )
        self._check_bytes()

    def _check_bytes(self) -> None:
        """Look for the bytes of forgotten shots in all files of the devices and of the database."""
        known = set(self.taught)
        for device in self.devices:
            device.ask("purge")  # what could still come back is not what is looked for
        self.heal()
        with closing(psycopg.connect(self._url, autocommit=True)) as db:
            rows = db.execute("SELECT crop FROM edgefs.shots").fetchall()
            alive = {bytes(crop).decode()[1:].partition(">")[0] for (crop,) in rows}
            db.execute("VACUUM FULL edgefs.shots")
            for _ in range(2):
                db.execute("SELECT pg_switch_wal()")
                db.execute("CHECKPOINT")
        for device in self.devices:
            device.stop()
        files = [path for folder in (self._folder, self._postgres.data) for path in folder.rglob("*") if path.is_file()]
        found = {
            marker.decode(): path for path in files for marker in re.findall(rb"<(M\d+\.\d+\.\d+)>", path.read_bytes())
        }
        assert alive <= found.keys(), "the search finds nothing"
        kept = {marker: path for marker, path in found.items() if marker in known - alive}
        assert not kept, f"forgotten bytes were found: {kept}"

    def close(self) -> None:
        for device in self.devices:
            with suppress(Exception):
                device.stop()
        for proxy in self.proxies:
            proxy.close()

"""A real PostgreSQL of Debian's in a temporary folder, with a port of its own, which tests may kill and start again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "wal_level": "logical",
    "wal_recycle": "off",  # an old segment of the WAL is deleted instead of used again, with what it holds
    "min_wal_size": "32MB",
    "max_wal_size": "256MB",
    "unix_socket_directories": "",
}


def programs() -> Path | None:
    """Return the folder of the newest installed PostgreSQL; None if there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    return found[-1].parent if found else None


class PostgresServer:
    """It does what a server of a site does, fsync included.

    Args:
        package: A Python package that has a PostgreSQL of its own in `pginstall`; None for that of Debian.
    """

    def __init__(self, package: Path | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="edgefs-postgres-"))
        folder = programs()
        if package:  # copied to where the user postgres may read it, with the libraries beside it
            for each in (package, package.with_name(f"{package.name}.libs")):
                shutil.copytree(each, self.folder / each.name, symlinks=True)
            folder = self.folder / package.name / "pginstall" / "bin"
        assert folder, "PostgreSQL must be installed: apt-get install postgresql"
        self._programs, self.settings = folder, dict(SETTINGS)
        self.data = self.folder / "data"
        # PostgreSQL refuses to run as root.
        self._as = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        if self._as:
            shutil.chown(self.folder, "postgres", "postgres")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._run("initdb", "--pgdata", self.data, "--username", "admin", "--auth", "trust", "--no-instructions")
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        self.start()

    def _run(self, program: str, *arguments: object) -> None:
        command = [self._programs / program, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder, **self._as)
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = [f"-c{name}={value}" for name, value in self.settings.items()]
        command = [self._programs / "postgres", "-D", self.data, f"-p{self.port}", *options]
        for _ in range(300):
            if self._process is None or self._process.poll() is not None:  # it ends if a killed one is not gone yet
                with (self.folder / "log").open("ab") as log:
                    self._process = subprocess.Popen(command, cwd=self.folder, stdout=log, stderr=log, **self._as)
            ready = [self._programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
            if subprocess.run(ready).returncode == 0:
                return
            time.sleep(0.1)
        raise AssertionError((self.folder / "log").read_text())

    def kill(self) -> None:
        """End the server like a power loss: nothing is flushed, and its children end with it."""
        assert self._process
        own = ["pgrep", "-P", str(self._process.pid)]
        children = subprocess.run(own, capture_output=True, text=True).stdout.split()
        for pid in (self._process.pid, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def database(self, name: str | None = None) -> str:
        """Create an empty database; return its address."""
        self._databases += 1
        name = name or f"site{self._databases}"
        self._run("createdb", "-h", "127.0.0.1", "-p", self.port, "-U", "admin", name)
        return self.url(name)

    def drop(self, url: str) -> None:
        """Delete a database, and with it its files."""
        self._run("dropdb", "--force", "-h", "127.0.0.1", "-p", self.port, "-U", "admin", url.rpartition("/")[2])

    def url(self, database: str, user: str = "admin", port: int | None = None) -> str:
        """Return the address of a database for a user."""
        return f"postgresql://{user}@127.0.0.1:{port or self.port}/{database}"

    def stop(self) -> None:
        """End the server and delete its folder."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)  # a fast shutdown
            self._process.wait(30)
        shutil.rmtree(self.folder)

"""SeaweedFS, a real object store that speaks S3, in a temporary folder; it is a package of `make test-fleet`."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

PROGRAM = Path(sys.prefix) / "bin" / "weed"
STARTS_S = 60.0  # generous, because the machine may be busy
KEY, SECRET = "AKIDTEST", "secret/with+signs"
BUCKET = "shop"
PARTS = ("master", "volume", "filer", "s3")


class S3Server:
    """It has one bucket and one user, and refuses what this user has not signed."""

    key, secret = KEY, SECRET

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="edgefs-s3-"))
        (self.folder / "data").mkdir()
        user = {"name": "maker", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
        (self.folder / "s3.json").write_text(json.dumps({"identities": [user]}))
        names = [f"{part}.port{kind}" for part in PARTS for kind in ("", ".grpc")]
        with ExitStack() as stack:
            free = [stack.enter_context(socket.socket()) for _ in names]
            for each in free:
                each.bind(("127.0.0.1", 0))
            self._ports = {name: each.getsockname()[1] for name, each in zip(names, free, strict=True)}
        self.port = self._ports["s3.port"]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        options = {
            "dir": self.folder / "data",
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "master.telemetry": "false",
            "master.resumeState": "false",  # a restart takes 6 s instead of 16
            "volume.max": 20,
            "filer.localSocket": self.folder / "filer.sock",
            "s3.localSocket": self.folder / "s3.sock",
            "s3.config": self.folder / "s3.json",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            **self._ports,
        }
        words = [PROGRAM, "server", "-s3", *(f"-{name}={value}" for name, value in options.items())]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(words, cwd=self.folder, stdout=log, stderr=log)
        until = time.monotonic() + STARTS_S
        while time.monotonic() < until and self._process.poll() is None:
            with suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2).close()
                self._store().create_dir(BUCKET)
                self.put("ready", b"x")  # every part of the server takes part in this
                return
            time.sleep(0.1)
        self.kill()
        raise AssertionError(f"SeaweedFS does not start: {(self.folder / 'log').read_text()}")

    def kill(self) -> None:
        """End the server like a power loss."""
        assert self._process
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """End the server and delete its files."""
        self.kill()
        shutil.rmtree(self.folder)
        for port in self._ports.values():
            for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # no option names another place for these
                path.unlink()

    def address(self, path: str, bucket: str = BUCKET, **options: str) -> str:
        """What edgefs is given for a folder or a picture of a bucket."""
        where = {"endpoint_override": f"127.0.0.1:{self.port}", "scheme": "http", "region": "us-east-1"}
        return f"s3://{bucket}/{path}?{urlencode({**where, **options})}"

    def copy(self, folder: Path, to: str) -> str:
        """Store every file of a folder and of those below; return the address of the folder in the store."""
        for path in folder.rglob("*"):
            if path.is_file():
                self.put(f"{to}/{path.relative_to(folder).as_posix()}", path.read_bytes())
        return self.address(to)

    def put(self, path: str, data: bytes) -> None:
        """Store an object in the bucket."""
        with self._store().open_output_stream(f"{BUCKET}/{path}") as file:
            file.write(data)

    def delete(self, path: str) -> None:
        """Delete an object of the bucket."""
        self._store().delete_file(f"{BUCKET}/{path}")

    def _store(self) -> Any:
        from pyarrow.fs import S3FileSystem

        where = f"127.0.0.1:{self.port}"
        return S3FileSystem(
            access_key=KEY,
            secret_key=SECRET,
            region="us-east-1",
            scheme="http",
            endpoint_override=where,
            allow_bucket_creation=True,
        )

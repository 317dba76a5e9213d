"""The package for Debian and Ubuntu, installed into a small Debian and removed again: part of `make test-container`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.container,
    pytest.mark.skipif(
        shutil.which("mmdebstrap") is None or shutil.which("dpkg-deb") is None,
        reason="a Debian to install into is needed: apt-get install mmdebstrap",
    ),
]

ROOT = Path(__file__).parents[2]
# What pip needs in this machine's network; a machine without such settings copies nothing.
SETTINGS = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pip.conf", "/etc/resolv.conf", "/etc/hosts")


class Debian:
    """A Debian in a folder. Each command has a /proc of its own, which ends with it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        packages = "--include=python3,python3-venv,adduser,systemd,ca-certificates"
        command = ["mmdebstrap", "--variant=minbase", packages, "bookworm", str(root)]
        subprocess.run(command, check=True, capture_output=True)
        for path in SETTINGS:
            if Path(path).exists():
                shutil.copy(path, f"{root}{path}")

    def run(self, *words: str, check: bool = True) -> str:
        """Run a command; returns what it prints."""
        start = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
        command = ["unshare", "--mount", "sh", "-c", start, str(self.root), *words]
        environ = {
            **os.environ,
            "LANG": "C.UTF-8",
            "DEBIAN_FRONTEND": "noninteractive",
            "PYTHONPATH": "",
            "HOME": "/root",
        }
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0 or not check, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("deb")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder), "-t", "wheel"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    environ = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
    for name in ("first", "second"):
        (folder / name).mkdir()
        subprocess.run([ROOT / "deploy" / "build-deb", wheel, folder / name], env=environ, check=True)
    (first,), (second,) = (folder / "first").iterdir(), (folder / "second").iterdir()
    assert first.read_bytes() == second.read_bytes()
    return first


@pytest.fixture(scope="module")
def installed(package, tmp_path_factory):
    debian = Debian(tmp_path_factory.mktemp("debian") / "root")
    shutil.copy(package, debian.root)
    debian.run("dpkg", "--install", f"/{package.name}")
    return debian


def test_the_command_runs_and_every_engine_reproduces_its_golden_frames(installed):
    found = installed.run("runuser", "-u", "edgefs", "--", "edgefs", "doctor")
    assert "bundle embedded default: verified" in found
    assert not re.search(r"missing +the live app", found)


def test_the_unit_is_sound_and_its_user_may_open_cameras(installed):
    complaints = installed.run("systemd-analyze", "verify", "edgefs-live.service", check=False)
    assert [line for line in complaints.splitlines() if "edgefs" in line and "Restart" not in line] == []
    assert "video" in installed.run("id", "-Gn", "edgefs").split()


def test_only_the_service_reads_the_addresses_of_cameras(installed):
    assert installed.run("stat", "--format", "%U %a", "/etc/edgefs/sources") == "edgefs 400\n"
    (installed.root / "etc/edgefs/sources").write_text("rtsp://user:password@camera/stream\n")
    installed.run("dpkg", "--install", f"/{next(installed.root.glob('*.deb')).name}")  # an upgrade keeps them
    assert "camera/stream" in (installed.root / "etc/edgefs/sources").read_text()


def test_after_it_was_removed_only_what_was_taught_is_left(installed):
    (installed.root / "var/lib/edgefs").mkdir()
    (installed.root / "var/lib/edgefs/gallery.db").write_bytes(b"shots")
    installed.run("dpkg", "--purge", "edgefs")
    left = [
        path
        for path in ("opt/edgefs", "etc/edgefs", "usr/bin/edgefs", "usr/share/edgefs")
        if (installed.root / path).is_symlink() or (installed.root / path).exists()
    ]
    assert left == []
    assert (installed.root / "var/lib/edgefs/gallery.db").read_bytes() == b"shots"

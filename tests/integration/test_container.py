"""The CPU image of deploy/Dockerfile, built and started: `make test-container`, with podman as root.

The base image is pulled where that is possible; elsewhere a small Debian with Python takes its place.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path

import cv2
import pytest

pytestmark = [
    pytest.mark.container,
    pytest.mark.skipif(
        shutil.which("podman") is None, reason="podman is needed: apt-get install podman runc mmdebstrap"
    ),
]

ROOT = Path(__file__).parents[2]
PUBLIC_BASE = re.search(r"^ARG BASE=(\S+)", (ROOT / "deploy" / "Dockerfile").read_text(), re.MULTILINE)[1]
OWN_BASE = "localhost/edgefs-test-base"
LARGEST_MB = 350  # as it is downloaded
FIRST_PICTURE_S = 10
# What a build in this machine's network needs; a machine without such settings mounts nothing.
SETTINGS = [path for path in ("/etc/ssl/certs", "/etc/pip.conf", "/etc/xdg/pip") if Path(path).exists()]
# Machines with the old layout of cgroups need runc, and a process in a container of its own may not raise limits.
PODMAN = ["podman", *(["--runtime", "runc"] if shutil.which("runc") else [])]
LIMITS = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"]
LOCKED = ["--read-only", "--tmpfs", "/tmp", "--cap-drop", "all", "--security-opt", "no-new-privileges"]
IN_IT = """
import json, sys, urllib.request
path, token, body = sys.argv[1], sys.argv[2], sys.argv[3:]
data = open(body[0], "rb").read() if body else None
headers = {"Authorization": "Bearer " + token} | ({"Content-Type": "image/jpeg"} if body else {})
with urllib.request.urlopen(urllib.request.Request("http://127.0.0.1:8080" + path, data, headers), timeout=5) as answer:
    sys.stdout.buffer.write(answer.read())
"""


def podman(*words, check=True, binary=False):
    done = subprocess.run([*PODMAN, *map(str, words)], capture_output=True, text=not binary, check=False)
    assert done.returncode == 0 or not check, f"podman {' '.join(map(str, words))}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """The base image that the Dockerfile names, or a stand-in with the same programs."""
    if podman("pull", "--quiet", PUBLIC_BASE, check=False).returncode == 0:
        return PUBLIC_BASE
    if podman("image", "exists", OWN_BASE, check=False).returncode != 0:
        if shutil.which("mmdebstrap") is None:
            pytest.skip(f"{PUBLIC_BASE} cannot be pulled, and a stand-in needs: apt-get install mmdebstrap")
        tar = tmp_path_factory.mktemp("base") / "base.tar"
        command = ["mmdebstrap", "--variant=minbase", "--include=python3,python3-venv,ca-certificates", "bookworm"]
        subprocess.run([*command, str(tar)], check=True, capture_output=True)
        podman("import", tar, OWN_BASE)
    return OWN_BASE


@pytest.fixture(scope="module")
def image(base, tmp_path_factory):
    """The image, built from the wheel of this checkout."""
    folder = tmp_path_factory.mktemp("context")
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder / "dist"), "-t", "wheel"]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    mounts = [word for path in SETTINGS for word in ("--volume", f"{path}:{path}:ro")]
    how = [
        "--layers=false",
        "--isolation",
        "chroot",
        "--format",
        "docker",
        "--network",
        "host",
        "--build-arg",
        f"BASE={base}",
        *mounts,
    ]
    name = f"localhost/edgefs-test:{uuid.uuid4().hex[:8]}"
    podman("build", *how, "--file", ROOT / "deploy" / "Dockerfile", "--tag", name, folder)
    yield name
    podman("rmi", "--force", name)


class Container:
    """A container of the image without any network but its own loopback, locked as docs/containers.md says."""

    def __init__(self, image, volume, clip):
        self.name, self.started = f"edgefs-test-{uuid.uuid4().hex[:8]}", time.monotonic()
        mounts = ["--volume", f"{volume}:/data", "--volume", f"{clip.parent}:/media:ro"]
        live = ["live", "--host", "0.0.0.0", "--source", f"/media/{clip.name}", "--gallery", "/data/gallery.db"]
        podman("run", "--detach", "--name", self.name, "--network", "none", *LOCKED, *LIMITS, *mounts, image, *live)

    def inside(self, *words, check=True, binary=False):
        return podman("exec", self.name, *words, check=check, binary=binary)

    def get(self, path, token="-", *body, binary=False):
        return self.inside("python", "-c", IN_IT, path, token, *body, binary=binary).stdout

    def wait(self, what, timeout_s=60):
        deadline = time.monotonic() + timeout_s
        while not (found := what()):
            assert time.monotonic() < deadline, podman("logs", self.name, check=False).stderr
            time.sleep(0.2)
        return found

    def said(self, pattern):
        logs = podman("logs", self.name)
        return self.wait(lambda: re.search(pattern, podman("logs", self.name).stderr + logs.stdout))[1]

    def remove(self):
        podman("rm", "--force", self.name, check=False)


@pytest.fixture(scope="module")
def clip(tmp_path_factory, tiny):
    path = tmp_path_factory.mktemp("media") / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 15, (320, 240))
    for frame in tiny.views(1, 45):
        writer.write(frame)
    writer.release()
    cv2.imwrite(str(path.with_name("mug.jpg")), next(iter(tiny.views(2, 1))))
    path.parent.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def volume(image):
    name = f"edgefs-test-{uuid.uuid4().hex[:8]}"
    podman("volume", "create", name)
    yield name
    podman("volume", "rm", "--force", name, check=False)


@pytest.fixture(scope="module")
def container(image, volume, clip):
    running = Container(image, volume, clip)
    yield running
    running.remove()


def test_the_image_runs_without_rights_has_a_health_check_and_keeps_galleries_in_a_volume(image):
    (about,) = json.loads(podman("image", "inspect", image).stdout)
    config = about["Config"]
    assert config["User"] == "10001"
    assert list(config["Volumes"]) == ["/data"]
    assert list(config["ExposedPorts"]) == ["8080/tcp"]
    assert "/healthz" in about["Healthcheck"]["Test"][-1]


def test_the_image_is_small_enough_to_download(image, tmp_path):
    podman("push", "--compress", image, f"dir:{tmp_path / 'image'}")
    mb = sum(path.stat().st_size for path in (tmp_path / "image").iterdir()) / 1e6
    unpacked = json.loads(podman("image", "inspect", image).stdout)[0]["Size"] / 1e6
    print(f"the image: {mb:.0f} MB to download, {unpacked:.0f} MB unpacked")
    assert mb <= LARGEST_MB


def test_the_first_picture_is_there_in_ten_seconds(container):
    token = container.said(r"#token=(\S+)")
    camera = container.wait(lambda: json.loads(container.get("/api/v1/state", token))["cameras"])[0]["id"]
    picture = container.wait(lambda: container.get(f"/api/v1/cameras/{camera}/snapshot", token, binary=True))
    took = time.monotonic() - container.started
    print(f"the first picture came {took:.1f} s after the start of the container")
    assert picture.startswith(b"\xff\xd8")
    assert took <= FIRST_PICTURE_S


def test_it_is_healthy_and_would_be_unhealthy_without_a_server(container, image):
    container.said(r"#token=(\S+)")
    check = json.loads(podman("image", "inspect", image).stdout)[0]["Healthcheck"]["Test"][1:]
    assert container.inside(*check, check=False).returncode == 0
    alone = ["--rm", "--network", "none", "--no-healthcheck", *LIMITS, "--entrypoint", check[0], image, *check[1:]]
    assert podman("run", *alone, check=False).returncode != 0


def test_it_runs_as_a_user_without_rights_on_a_root_that_cannot_be_written(container):
    container.said(r"#token=(\S+)")
    assert container.inside("id", "-u").stdout.strip() == "10001"
    refused = container.inside("touch", "/opt/edgefs/x", check=False)
    assert "Read-only file system" in refused.stderr
    assert "video" in container.inside("id", "-Gn").stdout.split()  # for /dev/video*


def test_what_was_taught_outlives_the_container(container, image, volume, clip):
    token = container.said(r"#token=(\S+)")
    container.get("/api/v1/classes/shots?label=mug", token, "/media/mug.jpg")
    began = time.monotonic()
    podman("stop", "--time", 20, container.name)
    assert time.monotonic() - began < 15
    assert podman("inspect", container.name, "--format", "{{.State.ExitCode}}").stdout.strip() == "0"
    container.remove()
    container.__init__(image, volume, clip)
    container.said("edgefs live: (http)")
    assert "mug" in container.get("/api/v1/classes", token)  # the token is kept in the volume, too

"""Keys, a published folder, and a device with a gallery."""

import shutil

import pytest

pytest.importorskip("cryptography", reason="pip install cryptography")

from runtime.recognizer import Recognizer
from runtime.rollout.follower import Follower
from runtime.signing import make_keys


class Clock:
    """Seconds that a test sets."""

    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def key(tmp_path):
    """The author's private key; `trusted` holds the public one."""
    (tmp_path / "trusted").mkdir()
    shutil.move(make_keys(tmp_path / "maker.key"), tmp_path / "trusted" / "maker.pub")
    return tmp_path / "maker.key"


@pytest.fixture
def trusted(key, tmp_path):
    return tmp_path / "trusted"


@pytest.fixture
def other_key(tmp_path):
    """The key of somebody whom no device trusts."""
    make_keys(tmp_path / "other.key")
    return tmp_path / "other.key"


@pytest.fixture(scope="session")
def new_bundle(tiny):
    """Another model, of another dimension."""
    return tiny.bundle(seed=1, dim=48)


@pytest.fixture
def folder(tmp_path):
    return str(tmp_path / "published")


@pytest.fixture
def device(tmp_path, tiny, tiny_bundle, trusted, clock, folder):
    """`device()` returns a follower and a recognizer on its gallery of three things; call it again for a restart."""
    opened = []

    def start(where=folder, name="device 1"):
        follower = Follower(where, tmp_path / "home", tiny_bundle, name, trusted, engine={"threads": 1}, clock=clock)
        bundle = follower.bundle()
        recognizer = Recognizer(bundle, gallery=tmp_path / "shop.db", engine="onnxruntime", threads=1, reembed=True)
        opened.append(recognizer)
        if not recognizer.labels:
            for seed in range(3):
                recognizer.enroll(f"thing {seed}", tiny.views(seed, 4))
        return follower, recognizer

    yield start
    for recognizer in opened:
        recognizer.close()

"""Reading, writing and resuming, in a folder of this machine and on a real HTTP server that breaks off on purpose."""

from hashlib import sha256

import numpy as np
import pytest

from runtime.errors import OptionError
from runtime.rollout.folder import Folder
from runtime.rollout.place import Absent, Unreachable

DATA = np.random.default_rng(0).bytes(3_000_000)
DIGEST = sha256(DATA).hexdigest()


def never():
    return False


def test_a_connection_that_breaks_off_again_and_again_loses_nothing(server, handler, tmp_path):
    folder = Folder(server)
    folder.write("a.zip", DATA)
    handler.cut = 1_000_000
    attempts = 0
    while not (tmp_path / "a.zip").exists():
        attempts += 1
        try:
            folder.fetch("a.zip", tmp_path / "a.zip", len(DATA), DIGEST, never)
        except Unreachable:
            assert attempts < 5
    assert (tmp_path / "a.zip").read_bytes() == DATA
    assert handler.sent == len(DATA)  # no byte came twice
    assert handler.asked == (None, "bytes=1000000-", "bytes=2000000-")


def test_a_server_without_ranges_sends_the_file_again(server, handler, tmp_path):
    folder = Folder(server)
    folder.write("a.zip", DATA)
    handler.ranges, handler.cut = False, 1_000_000
    with pytest.raises(Unreachable):
        folder.fetch("a.zip", tmp_path / "a.zip", len(DATA), DIGEST, never)
    handler.cut = None
    folder.fetch("a.zip", tmp_path / "a.zip", len(DATA), DIGEST, never)
    assert (tmp_path / "a.zip").read_bytes() == DATA


def test_a_server_that_is_away_and_an_address_of_another_kind_are_refused():
    with pytest.raises(Unreachable, match="trying again later") as refused:
        Folder("http://127.0.0.1:9").read("rollout.json", 10)
    assert not isinstance(refused.value, Absent)
    with pytest.raises(Unreachable):
        Folder("http://127.0.0.1:9").write("rollout.json", b"")
    for where in ("ftp://me:secret@server/x", "file:///etc", "http://"):
        with pytest.raises(OptionError, match="path or an http") as refused:
            Folder(where)
        assert "secret" not in str(refused.value)

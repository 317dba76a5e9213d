"""Replacing a gallery file, and noticing that another program uses it."""

import subprocess
import sys

import numpy as np
import pytest

from runtime.errors import GalleryUnwritable
from runtime.gallery import NewShot, open_gallery
from runtime.gallery.recovery.files import alone, aside, in_use, replace, set_aside_files

HOLD = "from runtime.gallery import open_gallery; import sys; g = open_gallery(sys.argv[1], fingerprint=None); print()"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "shop[1].db"
    with open_gallery(path, fingerprint="f", dim=2) as gallery:
        gallery.add("mug", [NewShot(np.zeros(2, np.float32), None, "b", 0.5, "api", 1.0)])
    return path


def test_a_gallery_that_another_program_has_open_is_not_replaced(path):
    assert not in_use(path)
    command = [sys.executable, "-c", HOLD + "; sys.stdin.read()", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        other.stdout.readline()
        assert in_use(path)
        with pytest.raises(GalleryUnwritable, match="Close that program"), alone(path):
            pass
        other.stdin.close()
    assert not in_use(path)


def test_the_old_file_is_kept_with_its_write_ahead_log(path):
    wal = path.with_name(path.name + "-wal")
    before = path.read_bytes()
    wal.write_bytes(b"log")
    new = path.with_name("new")
    new.write_bytes(b"new")
    kept = replace(path, new)
    assert (path.read_bytes(), kept.read_bytes(), wal.exists()) == (b"new", before, False)
    assert kept.with_name(kept.name + "-wal").read_bytes() == b"log"
    assert kept in set_aside_files(path)
    assert aside(path) != kept

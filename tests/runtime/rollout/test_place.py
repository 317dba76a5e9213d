"""What every place does: a folder of this machine, a real HTTP server, and the database of a site."""

from hashlib import sha256

import numpy as np
import pytest

from runtime.errors import BundleCorrupt
from runtime.rollout.index import Index, Release
from runtime.rollout.place import Absent, Unreachable

DATA = np.random.default_rng(0).bytes(3_000_000)
DIGEST = sha256(DATA).hexdigest()
INDEX = Index(1, 1.0, Release(DIGEST, len(DATA), "bundle", "f" * 64))
FILE = INDEX.release.file


def put(place, data):
    """Publish some bytes as the bundle of the index."""
    try:
        replaced = place.read("rollout.json", 100)
    except Absent:
        replaced = None
    place.publish(INDEX, b"index", data, replaced)


def never():
    return False


def test_what_was_written_is_read(place):
    place.write("reports/a.json", DATA[:1000])
    assert place.read("reports/a.json", 1000) == DATA[:1000]
    place.write("reports/a.json", DATA[:10])
    assert place.read("reports/a.json", 10) == DATA[:10]
    with pytest.raises(Absent, match="at most 9 bytes"):
        place.read("reports/a.json", 9)
    with pytest.raises(Absent, match="reports/absent"):
        place.read("reports/absent.json", 10)


def test_a_file_is_fetched_whole_or_not_at_all(place, tmp_path):
    put(place, DATA)
    place.fetch(FILE, tmp_path / "home/a.zip", len(DATA), DIGEST, never)
    assert (tmp_path / "home/a.zip").read_bytes() == DATA
    put(place, DATA[:-1] + b"x")
    with pytest.raises(BundleCorrupt, match="match its sha256"):
        place.fetch(FILE, tmp_path / "home/b.zip", len(DATA), DIGEST, never)
    put(place, DATA[:-1])
    with pytest.raises(Unreachable, match=r"must have 3,000,000 bytes, but 2,999,999 came"):
        place.fetch(FILE, tmp_path / "home/b.zip", len(DATA), DIGEST, never)
    put(place, DATA)
    (tmp_path / "home/b.zip.part").write_bytes(b"y" * (len(DATA) + 5))  # longer than it can be
    place.fetch(FILE, tmp_path / "home/b.zip", len(DATA), DIGEST, never)
    assert sorted(path.name for path in (tmp_path / "home").iterdir()) == ["a.zip", "b.zip"]


def test_a_fetch_that_is_stopped_goes_on_later(place, tmp_path):
    put(place, DATA)
    asked = iter([False, True])
    with pytest.raises(Unreachable):
        place.fetch(FILE, tmp_path / "a.zip", len(DATA), DIGEST, lambda: next(asked))
    part = tmp_path / "a.zip.part"
    assert 0 < part.stat().st_size < len(DATA)
    part.write_bytes(bytes([part.read_bytes()[0] ^ 1]) + part.read_bytes()[1:])
    with pytest.raises(BundleCorrupt):  # the beginning is not fetched again
        place.fetch(FILE, tmp_path / "a.zip", len(DATA), DIGEST, never)
    assert not part.exists()
    place.fetch(FILE, tmp_path / "a.zip", len(DATA), DIGEST, never)
    assert (tmp_path / "a.zip").read_bytes() == DATA


def test_a_device_without_space_says_so(place, tmp_path):
    put(place, DATA)
    (tmp_path / "a.zip.part").mkdir()
    with pytest.raises(Unreachable, match=r"a\.zip\.part cannot be written"):
        place.fetch(FILE, tmp_path / "a.zip", len(DATA), DIGEST, never)


def test_all_small_files_of_a_folder_are_read(place):
    assert place.read_all("reports", 100) == []
    for name, size in (("b", 5), ("a", 3), ("c", 101)):
        place.write(f"reports/{name}.json", DATA[:size])
    known = [] if "http" in place.where else [DATA[:3], DATA[:5]]  # a server cannot be asked for names
    assert place.read_all("reports", 100) == known

"""The embeddings of earlier models beside a gallery."""

import numpy as np
import pytest

from runtime.errors import GalleryCorrupt
from runtime.gallery import NewShot, open_gallery
from runtime.gallery.recovery.asides import aside_path, delete_from_asides, read_aside, write_aside

DIM = 4


@pytest.fixture
def gallery(tmp_path):
    with open_gallery(tmp_path / "shop[1].db", fingerprint="a" * 64, dim=DIM) as gallery:
        gallery.add("mug", [NewShot(np.full(DIM, i, np.float32), None, "b", 0.5, "api", 1.0) for i in range(3)])
        yield gallery


def test_only_the_deleted_shots_leave_the_file(gallery):
    path = write_aside(gallery)
    before = read_aside(gallery, gallery.fingerprint)
    delete_from_asides(gallery.path, {2, 99})
    after = read_aside(gallery, gallery.fingerprint)
    assert (set(before), set(after)) == ({1, 2, 3}, {1, 3})
    np.testing.assert_array_equal(after[3], before[3])
    assert path == aside_path(gallery.path, gallery.fingerprint)


def test_a_damaged_file_is_refused_and_deleted_with_the_next_shot(gallery):
    path = write_aside(gallery)
    data = bytearray(path.read_bytes())
    data[data.index(np.full(DIM, 2, np.float32).tobytes())] ^= 1
    path.write_bytes(data)
    with pytest.raises(GalleryCorrupt, match="Remove it"):
        read_aside(gallery, gallery.fingerprint)
    delete_from_asides(gallery.path, {2})
    assert not path.exists()


def test_embeddings_of_another_precision_are_not_read(gallery):
    write_aside(gallery)  # as an earlier version did, without a precision
    assert set(read_aside(gallery, gallery.fingerprint, "int8")) == {1, 2, 3}
    gallery.set_precision("fp32")
    write_aside(gallery)
    delete_from_asides(gallery.path, {2})  # writes the file again
    assert read_aside(gallery, gallery.fingerprint, "int8") == {}
    assert set(read_aside(gallery, gallery.fingerprint, "fp32")) == {1, 3}
    assert set(read_aside(gallery, gallery.fingerprint)) == {1, 3}

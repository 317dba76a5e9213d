"""The crops of an archive are decoded before anything is added."""

import json
import zipfile

import numpy as np
import pytest

from runtime.errors import GalleryCorrupt
from runtime.gallery import NewShot, export_gallery, import_gallery, open_gallery
from runtime.opencv import encode_jpeg


def shot(crop: bytes) -> NewShot:
    return NewShot(np.ones(4, np.float32), crop, "b", 0.5, "api", 1.0)


NO_PICTURES = {
    "text": b"no picture",
    "a JPEG that is cut off": encode_jpeg(np.zeros((8, 8, 3), np.uint8))[:60],
    "a PNG": b"\x89PNG\r\n\x1a\n" + bytes(100),
    "nothing": b"",
}


@pytest.mark.parametrize("crop", NO_PICTURES.values(), ids=NO_PICTURES.keys())
def test_a_crop_that_is_no_picture_is_refused_with_its_line_and_nothing_is_added(tmp_path, crop):
    path = tmp_path / "shop.zip"
    with open_gallery(None, fingerprint="model", dim=4) as gallery:
        gallery.add("mug", [shot(encode_jpeg(np.full((8, 8, 3), i, np.uint8))) for i in range(6)])
        gallery.add("late", [shot(crop)])
        export_gallery(gallery, path)
    with open_gallery(None, fingerprint="model", dim=4) as gallery:
        with pytest.raises(GalleryCorrupt, match=r"the crop of shot 6 \(line 8 of gallery.json\)"):
            import_gallery(gallery, path)
        assert not gallery.classes
    with zipfile.ZipFile(path) as members:
        assert json.loads(members.read("gallery.json").splitlines()[7])["crop"] == "crops/6.jpg"

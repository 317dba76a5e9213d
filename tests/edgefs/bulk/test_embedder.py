"""What one process does: each picture is embedded as the recognizer does it, and what is damaged is named."""

from collections import Counter

import numpy as np
import pytest

from edgefs.bulk.embedder import Damaged, Embedder, Job, Known
from edgefs.bulk.pictures import Picture
from edgefs.bulk.shards import read_rows
from runtime.errors import BundleCorrupt
from runtime.opencv import read_image
from runtime.recognizer import Recognizer
from runtime.teaching.quality import measure

pytestmark = pytest.mark.fleet


def test_a_picture_is_stored_with_what_is_known_about_it(photos, embed, tmp_path, tiny_bundle):
    report = embed(photos, tmp_path / "out")
    assert (report.embedded, report.known, len(report.damaged)) == (100, 1, 1)
    assert report.damaged[0].picture.path.endswith("broken.png")
    assert "damaged" in report.damaged[0].why or "cut" in report.damaged[0].why
    found = {row.sha256: row for row in read_rows(tmp_path / "out")}
    assert Counter(row.picture.label for row in found.values()) == {"mug": 40, "cup": 40, "shelf/box": 20}
    with Recognizer(tiny_bundle, engine="onnxruntime", threads=1) as recognizer:
        for row in list(found.values())[::9]:
            image = read_image(row.picture.path)
            np.testing.assert_allclose(row.embedding, recognizer.embed(image)[0], atol=1e-5)
            assert row.quality == measure(image)


def test_what_is_known_or_damaged_leaves_the_others_in_their_order(photos, tiny_bundle, tiny_bundle_dir):
    names = ["mug/00.png", "mug/broken.png", "mug/01.png", "mug/absent.png", "cup/00.png"]
    pictures = [Picture(str(photos / name), "x") for name in names] + [Picture("with\0null", None)]
    job = Job(str(tiny_bundle_dir), tiny_bundle.fingerprint, "onnxruntime", "fp32", None, ())
    embedder = Embedder(job)
    first = embedder(pictures)
    embedder.close()
    assert [one.picture for one in first] == pictures
    assert [isinstance(one, Damaged) for one in first] == [False, True, False, True, False, True]
    again = Embedder(Job(**{**vars(job), "known": {first[2].sha256}}))
    assert [isinstance(one, Known) for one in again(pictures)] == [False, False, True, False, False, False]
    again.close()


def test_another_bundle_in_its_place_is_an_error(tiny_bundle_dir):
    with pytest.raises(BundleCorrupt, match="on every machine"):
        Embedder(Job(str(tiny_bundle_dir), "0" * 64, "onnxruntime", "fp32", None, ()))

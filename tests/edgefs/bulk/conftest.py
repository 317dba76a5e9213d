"""A few pictures of three things, with a damaged one, a copy and what no picture is; and how they are embedded."""

from pathlib import Path

import cv2
import pytest

from edgefs.bulk.embedder import Job
from edgefs.bulk.pictures import find_pictures
from edgefs.bulk.run import embed_pictures
from edgefs.bulk.shards import Model
from runtime.bundle import Bundle

N = 100  # good pictures with contents of their own


@pytest.fixture
def photos(tiny, tmp_path):
    root = tmp_path / "photos"
    for label, seed, count in (("mug", 0, 40), ("cup", 1, 40), ("shelf/box", 2, 20)):
        (root / label).mkdir(parents=True)
        for i, view in enumerate(tiny.views(seed, count)):
            cv2.imwrite(str(root / label / f"{i:02d}.png"), view)
    (root / "mug" / "broken.png").write_bytes((root / "mug" / "00.png").read_bytes()[:100])
    (root / "mug" / "copy of 01.png").write_bytes((root / "mug" / "01.png").read_bytes())
    (root / "mug" / "notes.txt").write_text("no picture")
    return root


@pytest.fixture
def embed(tiny_bundle_dir):
    """Embed a source or a list of pictures with the tiny bundle; other values for the job or the model may be given."""

    def embed(source, out: Path, **options):
        bundle = Bundle.load(tiny_bundle_dir)
        model = options.pop("model", Model(bundle.name, bundle.fingerprint, "fp32", bundle.metric, bundle.dim))
        job = Job(str(tiny_bundle_dir), bundle.fingerprint, "onnxruntime", "fp32", None, ())
        pictures = source if isinstance(source, list) else find_pictures(str(source))
        return embed_pictures(pictures, out, job, model, **options)

    return embed

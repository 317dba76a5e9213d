"""What docs/large.md shows about pgvector finds the same pictures as `edgefs search`, in a real PostgreSQL."""

import re
from pathlib import Path

import numpy as np
import pytest

import edgefs
from edgefs.bulk.embedder import Job
from edgefs.bulk.pictures import find_pictures
from edgefs.bulk.run import embed_pictures
from edgefs.bulk.search import search
from edgefs.bulk.shards import Model, read_rows
from runtime.opencv import encode_jpeg

pytestmark = pytest.mark.fleet
PAGE = (Path(__file__).parents[2] / "docs" / "large.md").read_text().partition("## Searching in the centre")[2]
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket", "immunohistochemistry")


@pytest.fixture(scope="module")
def embedded(tmp_path_factory):
    """250 parts of 5 photographs, embedded by the default network."""
    data = pytest.importorskip("skimage.data")
    root, rng = tmp_path_factory.mktemp("pgvector"), np.random.default_rng(0)
    for name in PHOTOGRAPHS:
        image = getattr(data, name)()
        (root / "photos" / name).mkdir(parents=True)
        for i in range(50):
            y, x = (rng.integers(0, side - 200) for side in image.shape[:2])
            part = np.ascontiguousarray(image[y : y + 200, x : x + 200, ::-1])
            (root / "photos" / name / f"it's {i:02d}.jpg").write_bytes(encode_jpeg(part))
    bundle, out = edgefs.default_bundle(), root / "embedded"
    model = Model(bundle.name, bundle.fingerprint, "fp32", bundle.metric, bundle.dim)
    job = Job(str(bundle.path), bundle.fingerprint, "onnxruntime", "fp32", None, ())
    embed_pictures(find_pictures(str(root / "photos")), out, job, model)
    return out, model


def shown(number, url, model):
    """A block of the page, with the address of the database and the fingerprint filled in."""
    text = re.findall(r"^```(?:sql|text)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)[number]
    return text.replace("postgresql://…", url).replace("e6ec3b…", model.fingerprint)


def test_the_page_finds_through_its_index_what_edgefs_search_finds(embedded, pgvector):
    import psycopg

    folder, model = embedded
    # Among 250 rows PostgreSQL would rather compare all than use the index.
    url = f"{pgvector.database()}?options=-c%20enable_seqscan%3Doff"
    table, fill, index, ask = (shown(number, url, model) for number in range(4))
    values = {"folder": folder}
    with psycopg.connect(url) as db:
        db.execute(table)
    exec(compile(fill, "docs/large.md", "exec"), values)
    with psycopg.connect(url) as db:
        db.execute(index)
    for row in list(read_rows(folder))[::10]:
        values["embedding"] = row.embedding
        exec(compile(ask, "docs/large.md", "exec"), values)
        wanted = search(folder, model, row.embedding, 10)
        assert [found[:2] for found in values["found"]] == [(hit.path, hit.label) for hit in wanted]
        np.testing.assert_allclose([found[2] for found in values["found"]], [hit.score for hit in wanted], atol=1e-5)
    with psycopg.connect(url) as db:
        plan = db.execute(f"EXPLAIN {values['QUERY']}", [values["vector"]] * 2).fetchall()
    assert "pictures_embedding_idx" in str(plan)

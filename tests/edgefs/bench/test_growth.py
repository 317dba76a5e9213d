"""A growing gallery is measured at every size."""

from edgefs.bench.growth import growth


def test_every_size_has_the_time_to_match_and_to_store(tiny_bundle):
    rows = list(growth(tiny_bundle, (10, 40)))
    assert [(row["shots"], row["classes"]) for row in rows] == [(10, 1), (40, 2)]
    assert all(row["match_p50_ms"] > 0 and row["enroll_shot_p50_ms"] > 0 for row in rows)
    assert rows[0]["embeddings_mb"] == round(10 * tiny_bundle.dim * 4 / 1e6, 3)

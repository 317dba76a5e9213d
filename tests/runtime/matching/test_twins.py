"""Which classes look alike, and that the other classes do not notice it."""

import importlib.util

import numpy as np
import pytest

from runtime.matching.twins import CrossScores, Nearest, Strangers, cross_scores, evenly, find_twins

spec = importlib.util.spec_from_file_location("random_gallery", "tests/random_gallery.py")
random_gallery = importlib.util.module_from_spec(spec)
spec.loader.exec_module(random_gallery)
NONE, TABLE, gallery, pictures, prototypes_of, shots, thresholds, unit = (
    getattr(random_gallery, name)
    for name in ["NONE", "TABLE", "gallery", "pictures", "prototypes_of", "shots", "thresholds", "unit"]
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def again(rng, one, spread=0.05, n=5):
    """The same thing under another name."""
    return shots("again", pictures(rng, unit(one.embeddings.mean(axis=0)), n, spread))


def likeness(classes):
    return Nearest().update(prototypes_of(classes), np.zeros(len(classes)))


def by_pair(found):
    return {(a, b): one for (a, b), *one in zip(found.pairs.tolist(), found.alike, found.above, strict=True)}


# -- how classes score against each other


def test_every_class_counts_the_same_among_the_strangers_of_a_gallery(rng):
    centres = unit(rng.standard_normal((3, 24)))
    few = {str(i): shots(str(i), pictures(rng, c, 2, 0.01)) for i, c in enumerate(centres)}
    many = {**few, "0": shots("0", np.repeat(few["0"].embeddings, 4, axis=0))}
    means = [cross_scores(prototypes_of(classes), np.zeros(3)).strangers().mean for classes in (few, many)]
    assert means[0] == pytest.approx(means[1], abs=1e-3)


def test_one_class_alone_and_twins_alone_show_no_strangers(rng):
    pair = gallery(rng, 2)
    one = cross_scores(prototypes_of({"0": pair["0"]}), np.zeros(1))
    both = cross_scores(prototypes_of(pair), np.zeros(2))
    assert one.strangers() == both.strangers(np.array([[0, 1]])) == Strangers(0.0, 0.0, 0)
    assert both.strangers().bursts == 10


def test_twins_are_left_out_whether_all_classes_were_compared_or_some(rng):
    owner, columns = np.array([0, 0, 4, 9]), np.array([0, 2, 4, 5, 9])
    above = rng.standard_normal((4, 5))
    above[np.arange(4), np.searchsorted(columns, owner)] = -np.inf
    twins = np.array([(0, 2), (0, 4), (4, 7), (1, 3), (5, 9), (9, 11)])  # 1, 3, 7 and 11 were not compared
    expected = above.copy()
    for a, b in twins:
        expected[np.ix_(owner == a, columns == b)] = -np.inf
        expected[np.ix_(owner == b, columns == a)] = -np.inf
    cross = CrossScores(above, owner, 4, columns)
    assert cross.strangers(twins) == CrossScores(expected, owner, 4, columns).strangers() != cross.strangers()


@pytest.mark.parametrize(("length", "n", "rows"), [(0, 4, []), (3, 4, [0, 1, 2]), (4, 4, [0, 1, 2, 3]), (9, 1, [0])])
def test_few_rows_are_all_taken(length, n, rows):
    assert evenly(length, n).tolist() == rows


@pytest.mark.parametrize("length", [5, 41, 1000])
def test_of_many_rows_as_many_as_wanted_are_taken_with_the_first_and_the_last(length):
    rows = evenly(length, 4)
    assert (len(set(rows.tolist())), rows[0], rows[-1]) == (4, 0, length - 1)
    assert np.diff(rows).max() - np.diff(rows).min() <= 1


# -- twins


def test_classes_whose_prototypes_are_very_similar_are_twins(rng):
    classes = gallery(rng, 4, spread=0.05)
    more = {**classes, "again": again(rng, classes["2"])}
    assert dict(thresholds(classes).twins) == {}
    assert dict(thresholds(more).twins) == {2: (4,), 4: (2,)}


@pytest.mark.parametrize("n_classes", [3, 4, 8])
def test_one_thing_under_two_names_is_noticed_though_its_prototypes_differ_and_no_other_class_notices_it(
    rng, n_classes
):
    films = [pictures(rng, centre, 5, 0.1) for centre in np.eye(24, dtype=np.float32)[:n_classes]]
    classes = {str(i): shots(str(i), film, bursts=(str(i),) * 5) for i, film in enumerate(films)}
    more = {**classes, "again": again(rng, classes["2"], spread=0.1, n=1)}
    table = {**TABLE, "twin": 2.0, "excess": [[0.4, 0.3, 0.2, 0.0]] * 3, "cap": 9.0}
    before, after = (thresholds(some, table=table) for some in (classes, more))
    assert dict(before.twins) == {}
    assert dict(after.twins) == {2: (n_classes,), n_classes: (2,)}
    np.testing.assert_allclose(after.sure[:n_classes], before.sure, atol=0.06)  # the table's row for one class more
    counted = thresholds(more, table={**table, "excess": [[9.0, 9.0, 0.2, 0.0]] * 3}, rate=0.1)
    assert dict(counted.twins) == {}  # where 1 % of strangers reach no such score
    assert counted.sure.min() > thresholds(more, table=table, rate=0.1).sure.max()


def test_a_score_just_below_what_is_rare_is_not_that_of_twins(rng):
    classes = gallery(rng, 4, spread=0.05)
    cross, found = cross_scores(prototypes_of(classes), np.zeros(4)), likeness(classes)
    highest = float(found.alike.max())
    assert len(find_twins(cross, found, highest, lambda _: np.inf)) == 1
    assert len(find_twins(cross, found, highest + 1e-12, lambda _: np.inf)) == 0


def test_all_the_look_alikes_of_a_shop_are_not_twins(rng):
    common = unit(rng.standard_normal(24))
    apples = {
        str(i): shots(str(i), pictures(rng, unit(common + 0.5 * unit(rng.standard_normal(24))), 5, 0.05))
        for i in range(8)
    }
    assert dict(thresholds(apples, table={**TABLE, "twin": 2.0}).twins) == {}


def test_two_things_may_each_have_two_names(rng):
    classes = gallery(rng, 4, spread=0.05)
    more = {**classes, "again": again(rng, classes["2"]), "third": again(rng, classes["0"])}
    cross = cross_scores(prototypes_of(more), np.zeros(6))
    assert find_twins(cross, likeness(more), 0.9, lambda own: own.mean + 0.3).tolist() in (
        [[2, 4], [0, 5]],
        [[0, 5], [2, 4]],
    )
    assert len(find_twins(cross, likeness(more), 2.0, lambda _: np.inf)) == 0


# -- only what changes is computed


@pytest.mark.parametrize("n_classes", [1, 2, 6, 300])
def test_the_most_similar_class_of_each_is_found(rng, n_classes):
    classes = gallery(rng, n_classes, n_shot=2)
    prototypes = prototypes_of(classes)
    scores = prototypes.rows.scores_many(prototypes.rows.matrix)
    np.fill_diagonal(scores, -np.inf)
    expected = {tuple(sorted((one, int(row.argmax())))) for one, row in enumerate(scores)} if n_classes > 1 else set()
    found = likeness(classes)
    assert len(found.pairs) == len(expected)
    assert by_pair(found).keys() == expected
    for (a, b), (alike, above) in by_pair(found).items():
        assert alike == pytest.approx(scores[a, b], abs=1e-6)
        assert above >= prototypes.class_scores(classes[str(a)].embeddings)[:, b].mean() - 1e-6


def test_a_gallery_that_was_followed_is_as_alike_as_one_that_was_opened(rng):
    classes = gallery(rng, 6, spread=0.05)
    third = again(rng, classes["2"])
    fewer = {label: one for label, one in classes.items() if label != "2"}
    nearest, prototypes = Nearest(), prototypes_of({})
    first, last = {"third": third, **classes}, {**classes, "third": third}
    for some in (classes, first, fewer, {**fewer, "third": third}, {"third": third}, classes, last, classes):
        prototypes = prototypes.update(some)
        followed, opened = by_pair(nearest.update(prototypes, np.zeros(len(some)))), by_pair(likeness(some))
        assert followed.keys() == opened.keys()
        for pair, found in followed.items():
            assert found == pytest.approx(opened[pair], abs=1e-6)


def test_a_class_among_many_is_compared_with_all(rng):
    many = gallery(rng, 150, n_shot=2, spread=0.01)
    more = {**many, "again": again(rng, many["77"], spread=0.01)}
    assert dict(thresholds(more, unknown=NONE).twins) == {77: (150,), 150: (77,)}

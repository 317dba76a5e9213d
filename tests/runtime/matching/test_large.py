"""A large gallery: what its index finds is scored exactly, and it follows every change."""

import builtins
import importlib.util
import logging
import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest

from runtime.explain import preview_reject, summaries
from runtime.matching import large
from runtime.matching.acceptance import Acceptance
from runtime.matching.large import Index
from runtime.matching.matcher import Matcher
from runtime.matching.prototypes import Prototypes
from runtime.matching.twins import TwinsOnDemand

spec = importlib.util.spec_from_file_location("random_gallery", "tests/random_gallery.py")
random_gallery = importlib.util.module_from_spec(spec)
spec.loader.exec_module(random_gallery)
DIM, NONE, TABLE, gallery, pictures, shots, unit = (
    getattr(random_gallery, name) for name in ["DIM", "NONE", "TABLE", "gallery", "pictures", "shots", "unit"]
)
N_CLASSES = 400


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def few_are_many(monkeypatch):
    """An index is used from 100 classes on."""
    monkeypatch.setattr(large, "LARGE", 100)


@pytest.fixture
def without_usearch(monkeypatch, few_are_many):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.startswith("usearch"):
            raise ImportError("no usearch")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    large.usearch_index.cache_clear()
    yield
    large.usearch_index.cache_clear()


def matcher_of(prototypes, rate=0.05, acceptance=None):
    cohort = unit(np.random.default_rng(1).standard_normal((40, DIM)))
    acceptance = acceptance or Acceptance(TABLE, cohort, prototypes.metric, rate)
    return Matcher(prototypes, acceptance.thresholds(prototypes, NONE))


def exact(prototypes, rate=0.05):
    """The matcher of the same classes when all are compared."""
    plain = Prototypes(prototypes.metric, prototypes.dim, prototypes.classes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large, "LARGE", 10**9)
        return matcher_of(plain, rate)


def ready(prototypes):
    prototypes.index[0].wait()
    return prototypes


def queries(rng, classes, n=60):
    """Pictures of taught things, and strangers."""
    known = [pictures(rng, one.embeddings.mean(axis=0), 1)[0] for one in list(classes.values())[:n]]
    return [*known, *unit(rng.standard_normal((n, DIM)))]


@pytest.mark.fleet
@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize("rate", [0.05, None])
def test_an_index_leads_to_the_answers_that_comparing_everything_gives(rng, few_are_many, metric, rate):
    classes = gallery(rng, N_CLASSES)
    prototypes = ready(Prototypes(metric, DIM).update(classes))
    through_index, all_compared = matcher_of(prototypes, rate), exact(prototypes, rate)
    assert prototypes.candidates(unit(rng.standard_normal((1, DIM)))).size < N_CLASSES
    pairs = [(through_index.decide(z), all_compared.decide(z)) for z in queries(rng, classes)]
    same = [one.row == other.row and one.certainty == other.certainty for one, other in pairs]
    assert np.mean(same) >= 0.99
    for one, other in pairs:
        if one.row == other.row:
            assert one.score == pytest.approx(other.score, abs=1e-5)
            assert one.threshold == pytest.approx(other.threshold, abs=1e-5)


@pytest.mark.fleet
def test_a_class_is_found_once_it_is_taught_and_not_when_it_is_forgotten(rng, few_are_many):
    classes = gallery(rng, N_CLASSES)
    prototypes = ready(Prototypes("cosine", DIM).update(classes))
    new = unit(rng.standard_normal(DIM))
    more = prototypes.update({**classes, "new": shots("new", pictures(rng, new, 3, 0.01))})
    assert more.index[0] is prototypes.index[0]  # it is not made again
    assert matcher_of(more, None).decide(new).row == N_CLASSES
    assert matcher_of(prototypes, None).decide(new).row < N_CLASSES  # an older view of the gallery stays as it was
    fewer = more.update({**dict(list(classes.items())[200:]), "new": more.classes[-1].shots})
    assert matcher_of(fewer, None).decide(new).row == len(fewer.classes) - 1
    found = {fewer.classes[matcher_of(fewer, None).decide(z).row].shots.label for z in queries(rng, classes, 200)}
    assert found <= {one.shots.label for one in fewer.classes}
    without = fewer.update(dict(list(classes.items())[200:]))
    assert without.classes[matcher_of(without, None).decide(new).row].shots.label != "new"
    without.index[0].wait()
    assert len(without.index[0]._graph) == len(without.classes)  # a class that is gone takes no place


@pytest.mark.fleet
def test_an_index_that_does_not_follow_misses_a_new_class(rng, few_are_many, monkeypatch):
    classes = gallery(rng, N_CLASSES)
    prototypes = ready(Prototypes("cosine", DIM).update(classes))
    monkeypatch.setattr(Index, "_make", lambda *_: None)
    new = unit(rng.standard_normal(DIM))
    more = prototypes.update({**classes, "new": shots("new", pictures(rng, new, 3, 0.01))})
    assert matcher_of(more, None).decide(new).row < N_CLASSES


@pytest.mark.fleet
def test_everything_is_compared_until_the_index_is_ready(rng, few_are_many, monkeypatch):
    may_go_on, make = threading.Event(), Index._make
    monkeypatch.setattr(Index, "_make", lambda *change: may_go_on.wait() and make(*change))
    classes = gallery(rng, N_CLASSES)
    prototypes = Prototypes("cosine", DIM).update(classes)
    assert not prototypes.index[0].ready
    assert prototypes.candidates(unit(rng.standard_normal((1, DIM)))) is None
    wanted = exact(prototypes)
    asked = queries(rng, classes)
    now = matcher_of(prototypes)
    assert [now.decide(z).row for z in asked] == [wanted.decide(z).row for z in asked]
    more = prototypes.update({**classes, "new": shots("new", pictures(rng, asked[-1], 3, 0.01))})  # meanwhile
    may_go_on.set()
    assert ready(more).candidates(asked[-1][None]) is not None
    assert matcher_of(more).decide(asked[-1]).row == N_CLASSES


@pytest.mark.fleet
def test_threads_ask_while_classes_are_taught_and_forgotten(rng, few_are_many):
    classes = gallery(rng, N_CLASSES)
    views = [ready(Prototypes("cosine", DIM).update(classes))]
    asked, stop, wrong = queries(rng, classes), threading.Event(), []

    def ask():
        try:
            while not stop.is_set():
                view = views[-1]
                for z in asked[:20]:
                    row = Matcher(view, None).decide(z).row
                    assert 0 <= row < len(view.classes)
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for round_ in range(30):
        changed = dict(classes)
        for label in list(classes)[round_ : round_ + 5]:
            del changed[label]
        changed |= gallery(rng, 20 if round_ % 2 else 100)  # at once, and by the thread of the index
        views.append(views[-1].update(changed))
    stop.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    last = ready(views[-1])
    assert [Matcher(last, None).decide(p.mean).row for p in last.classes[:50]] == list(range(50))


@pytest.mark.fleet
def test_twins_of_a_large_gallery_are_found_when_they_are_asked_for(rng, few_are_many):
    classes = gallery(rng, N_CLASSES)
    again = shots("again", pictures(rng, unit(classes["7"].embeddings.mean(axis=0)), 5, 0.05))
    prototypes = ready(Prototypes("cosine", DIM).update({**classes, "again": again}))
    thresholds = matcher_of(prototypes).thresholds
    assert isinstance(thresholds.twins, TwinsOnDemand)
    assert thresholds.twins[7] == (N_CLASSES,)
    assert thresholds.twins.get(N_CLASSES) == (7,)
    assert dict(thresholds.twins) == dict(exact(prototypes).thresholds.twins)
    assert len(thresholds.twins) == len(list(thresholds.twins))
    match = matcher_of(prototypes).decide(unit(classes["7"].embeddings[0] + again.embeddings[0]))
    assert (match.certainty, match.check) == ("maybe", "twin")


@pytest.mark.fleet
@pytest.mark.parametrize("n_left", [0, 1, 2])
def test_a_large_gallery_may_become_a_small_one(rng, few_are_many, n_left):
    classes = gallery(rng, N_CLASSES)
    left = dict(list(classes.items())[:n_left])
    prototypes = ready(ready(Prototypes("cosine", DIM).update(classes)).update(left))
    assert matcher_of(prototypes).decide(unit(rng.standard_normal(DIM))).row in range(-1, n_left)


@pytest.mark.fleet
def test_what_asks_about_a_gallery_works_on_a_large_one_too(rng, few_are_many):
    classes = gallery(rng, N_CLASSES)
    prototypes = ready(Prototypes("cosine", DIM).update(classes))
    matcher = matcher_of(prototypes)
    assert len(summaries(matcher)) == N_CLASSES
    assert preview_reject(matcher, "3", classes["3"].embeddings[0], []).changes == ()
    unknown = unit(rng.standard_normal((12, DIM)))
    acceptance = Acceptance(TABLE, unit(rng.standard_normal((40, DIM))), "cosine", 0.05)
    one = acceptance.thresholds(prototypes, unknown)
    other = acceptance.thresholds(replace_index(prototypes), unknown)
    np.testing.assert_allclose(one.sure, other.sure, atol=0.01)


def replace_index(prototypes):
    return Prototypes(prototypes.metric, prototypes.dim, prototypes.classes)


def test_without_usearch_everything_is_compared_and_a_warning_says_what_to_install(rng, without_usearch, caplog):
    classes = gallery(rng, N_CLASSES)
    with caplog.at_level(logging.WARNING):
        prototypes = Prototypes("cosine", DIM).update(classes)
        prototypes = prototypes.update({**classes, "new": shots("new", pictures(rng, classes["0"].embeddings[0], 2))})
    assert prototypes.index is None
    assert prototypes.large
    assert [record.message.count("pip install 'edgefs[fleet]'") for record in caplog.records] == [1]
    matcher, wanted = matcher_of(prototypes), exact(prototypes)
    for z in queries(rng, classes):
        one, other = matcher.decide(z), wanted.decide(z)
        assert (one.row, one.certainty) == (other.row, other.certainty)
        assert replace(one, threshold=0.0, score=0.0, margin=0.0).nearest == other.nearest


@pytest.mark.fleet
@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_an_engine_that_is_imported_after_the_index_works(engine):
    code = f"from runtime.matching.large import usearch_index\nassert usearch_index()\nimport {engine}"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0

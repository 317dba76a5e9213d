"""The labels that a class may have."""

import pytest

from runtime.errors import InvalidLabel
from runtime.gallery import check_labels, clean_label, label_problems, similar_label
from runtime.gallery.labels import unknown_label


def test_a_label_is_stored_in_nfc_without_surrounding_white_space():
    assert clean_label("  cafe\u0301 \n") == "caf\u00e9"
    assert clean_label("👨‍👩‍👧") == "👨‍👩‍👧"


@pytest.mark.parametrize("bad", ["", "   ", "x" * 101, "a\nb", "a\u2028b", "a\x00b", "\ud800", "a\u202eb", 7])
def test_an_invalid_label_is_refused_with_the_reason(bad):
    with pytest.raises(InvalidLabel, match=r"A label must .*, but"):
        clean_label(bad)


@pytest.mark.parametrize("label", ["unknown", "Unknown", " UNKNOWN "])
def test_unknown_is_reserved_for_the_answer_to_a_stranger(label):
    with pytest.raises(InvalidLabel, match="must not be 'unknown'"):
        clean_label(label)
    assert clean_label("unknown part") == "unknown part"


def test_labels_that_differ_only_in_case_or_white_space_are_similar():
    existing = ["Mug", "red cup"]
    assert similar_label("mug", existing) == "Mug"
    assert similar_label("RedCup", existing) == "red cup"
    assert similar_label("Mug", existing) is None
    assert similar_label("mugs", existing) is None


def test_the_error_for_an_unknown_label_names_the_most_similar_ones():
    assert "the gallery is empty" in str(unknown_label("mug", []))
    assert "Did you mean 'mug'?" in str(unknown_label("mgu", ["mug"]))
    assert "It has 'mug'." in str(unknown_label("bottle", ["mug"]))


ALIKE = [
    ("cat", "Cat"),
    ("cat", "cat "),
    ("black mug", "black  mug"),
    ("caf\u00e9", "cafe\u0301"),
    ("STRASSE", "straße"),
]


@pytest.mark.parametrize("names", ALIKE)
def test_names_that_would_become_one_class_or_look_like_one_are_a_problem_of_each(names):
    problems = label_problems((*names, "dog"))
    assert set(problems) == set(names)
    assert all("differ only in case, spaces or Unicode form" in problem for problem in problems.values())


@pytest.mark.parametrize("name", ["x" * 101, "unknown", "Unknown ", "a\u202eb", " ", "a\nb"])
def test_every_name_that_can_be_no_label_is_named_at_once(name):
    assert set(label_problems(("cat", name, "dog"))) == {name}
    with pytest.raises(InvalidLabel, match=r"Every class must have a name") as error:
        check_labels(dict.fromkeys((name, "cat", "unknown!", "a\tb", "UNKNOWN")))
    problems = str(error.value).split("\n  ")[1:]
    assert len([problem for problem in problems if "U+0009" in problem or "got 'UNKNOWN'" in problem]) == 2
    assert len(problems) == 3


def test_names_that_can_be_labels_are_no_problem():
    assert label_problems(["cat", "cat 1", "cat1", "1 11", "11 1", "Ångström", "a/b"]) == {}
    check_labels(["cat", "dog"])

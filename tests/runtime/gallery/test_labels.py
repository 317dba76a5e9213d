"""The labels that a class may have."""

import pytest

from runtime.errors import InvalidLabel
from runtime.gallery import clean_label, similar_label
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

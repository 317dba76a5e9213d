"""What a class was before a change is found again, whatever the change was."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from runtime.matching.order import Order, taken_over

THINGS = [object() for _ in range(12)]
sequences = st.lists(st.sampled_from(range(12)), unique=True)


@given(before=sequences, now=sequences)
def test_each_class_is_found_where_it_was(before, now):
    expected = [before.index(one) if one in before else -1 for one in now]
    found = Order([THINGS[one] for one in now]).rows_in(Order([THINGS[one] for one in before]))
    assert found.tolist() == expected
    values = np.array(before, np.float32)[:, None] * np.ones(3, np.float32)
    taken = taken_over(values, found)
    assert (taken.shape, taken.dtype) == ((len(now), 3), np.float32)
    assert taken[found >= 0, 0].tolist() == [one for one in now if one in before]


def test_equal_classes_are_told_apart():
    one, same = ["mug"], ["mug"]
    assert one == same
    assert Order([one, same]).rows_in(Order([same])).tolist() == [-1, 0]

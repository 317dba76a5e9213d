"""Messages are read field by field, and neither their number nor a list of numbers can take long."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import AttributeProto

from runtime.bundle.protobuf import MAX_FIELDS, MAX_PACKED_BYTES, Reader, integers, signed


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=50))
def test_numbers_are_read_as_protobuf_writes_them(values):
    message = memoryview(AttributeProto(ints=values).SerializeToString())
    assert [each for _, part in Reader().fields(message) for each in integers(part).tolist()] == values
    assert [signed(value % 2**64) for value in values] == values


@pytest.mark.parametrize("data", [b"\x80", b"\x01\x80", b"\x80" * 10 + b"\x01"])
def test_a_cut_off_or_endless_number_is_refused(data):
    with pytest.raises(IndexError, match="cut off"):
        integers(memoryview(data))


def test_a_file_of_many_fields_or_of_a_long_list_is_refused_at_once():
    begin = time.process_time()
    with pytest.raises(IndexError, match="which no network needs"):
        for _ in Reader().fields(memoryview(b"\x08\x01" * 50_000_000)):
            pass
    with pytest.raises(ValueError, match="store weights as raw data"):
        integers(memoryview(bytes(MAX_PACKED_BYTES + 1)))
    assert time.process_time() - begin < 5
    assert sum(1 for _ in Reader().fields(memoryview(b"\x08\x01" * MAX_FIELDS))) == MAX_FIELDS


def test_a_number_in_place_of_a_message_is_refused():
    with pytest.raises(TypeError):
        signed(memoryview(b"1"))
    assert integers(memoryview(b"")).dtype == np.int64

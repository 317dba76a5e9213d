"""Frames become exactly the engine's input, or raise a FrameError; the frame itself is never changed."""

import pickle

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import BundleCorrupt, FrameError, OptionError
from runtime.preprocess import CROPS, PAD_GREY, RESAMPLERS, Preprocess, as_frames, centre_square, chunks

COLOUR, GREY = Preprocess((24, 20)), Preprocess((24, 20), channels=1)


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("resampler", RESAMPLERS)
@pytest.mark.parametrize("crop", CROPS)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "shape",
    [
        *[(100, 80, 3), (100, 80), (100, 80, 1), (24, 20, 3), (1, 1), (1, 1, 3), (1, 1, 1), (2, 3, 3)],
        *[(1, 4000, 3), (4000, 1), (7, 50_000)],
    ],
    ids=str,
)
def test_every_shape_of_frame_becomes_an_engine_input_and_is_not_changed(shape, channels, crop, resampler):
    preprocess = Preprocess((24, 20), channels=channels, crop=crop, resampler=resampler)
    frame = noise(*shape)
    before = frame.copy()
    made = preprocess(frame)
    assert made.shape == (24, 20, channels) == preprocess.shape
    assert made.dtype == np.uint8
    np.testing.assert_array_equal(frame, before)
    np.testing.assert_array_equal(preprocess(frame), made)


def test_a_frame_of_one_colour_keeps_its_colour():
    frame = np.full((90, 70, 3), (10, 20, 200), np.uint8)
    assert (COLOUR(frame) == (10, 20, 200)).all()
    grey = cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)[0, 0]
    assert (GREY(frame) == grey).all()
    assert (COLOUR(frame[..., 0]) == 10).all()
    assert (GREY(frame[..., :1]) == 10).all()


def test_a_frame_of_the_right_size_passes_unchanged():
    frame = noise(24, 24, 3)
    np.testing.assert_array_equal(Preprocess((24, 24))(frame), frame)
    np.testing.assert_array_equal(Preprocess((24, 24), channels=1)(frame[..., :1]), frame[..., :1])


def test_square_uses_the_centre_and_stretch_uses_the_whole_frame():
    frame = np.zeros((50, 150, 3), np.uint8)
    frame[:, :50] = 255
    assert COLOUR(frame).max() == 0
    assert Preprocess((24, 20), crop="stretch")(frame).max() == 255
    assert centre_square(frame).shape == (50, 50, 3)
    assert np.shares_memory(centre_square(frame), frame)


@pytest.mark.parametrize("resampler", RESAMPLERS)
@pytest.mark.parametrize(
    ("shape", "rows", "columns"), [((60, 30, 3), (0, 64), (0, 32)), ((30, 90, 3), (26, 37), (0, 32))]
)
def test_pad_keeps_the_proportions_and_all_of_the_frame(shape, rows, columns, resampler):
    frame = np.full(shape, 20, np.uint8)
    frame[[0, -1]], frame[:, [0, -1]] = 250, 250
    made = Preprocess((64, 32), crop="pad", resampler=resampler)(frame)
    shown = made[slice(*rows), slice(*columns)]
    assert all(edge.max() > 60 for edge in (shown[0], shown[-1], shown[:, 0], shown[:, -1])), "no edge is cut off"
    made[slice(*rows), slice(*columns)] = PAD_GREY
    assert (made == PAD_GREY).all()


@pytest.mark.parametrize(
    "preprocess", [COLOUR, GREY, Preprocess((24, 20), channels=1, crop="stretch", resampler="area")]
)
@pytest.mark.parametrize("shape", [(100, 80, 3), (100, 80), (100, 80, 1), (24, 20, 3), (24, 20)], ids=str)
def test_the_result_is_written_into_out(preprocess, shape):
    frame, expected = noise(*shape), preprocess(noise(*shape))
    for out in (
        np.full(preprocess.shape, 7, np.uint8),
        np.full((3, *preprocess.shape), 7, np.uint8)[1],  # a row of a batch
        np.full((48, 40, preprocess.channels), 7, np.uint8)[::2, ::2],  # not contiguous
        np.full((24, 20, 5), 7, np.uint8)[..., : preprocess.channels],
        np.full((preprocess.channels, 24, 20), 7, np.uint8).transpose(1, 2, 0),
    ):
        assert preprocess(frame, out) is out
        np.testing.assert_array_equal(out, expected)


def test_writing_one_row_of_a_batch_leaves_the_others_unchanged():
    batch = np.full((3, *COLOUR.shape), 7, np.uint8)
    COLOUR(noise(50, 50, 3), batch[1])
    assert (batch[0] == 7).all()
    assert (batch[2] == 7).all()


@pytest.mark.parametrize(
    "out",
    [
        np.empty((24, 20), np.uint8),
        np.empty((20, 24, 3), np.uint8),
        np.empty((24, 20, 3), np.float32),
        np.frombuffer(bytes(1440), np.uint8).reshape(24, 20, 3),  # read-only
    ],
)
def test_an_out_that_does_not_fit_is_refused(out):
    with pytest.raises(FrameError, match="out must be a writable uint8 array"):
        COLOUR(noise(50, 50, 3), out)


@pytest.mark.parametrize("preprocess", [COLOUR, GREY])
def test_the_memory_layout_of_a_frame_does_not_change_the_result(preprocess):
    whole = noise(120, 100, 3)
    for view in (
        whole[::-1],
        whole[:, ::-1],
        whole[::2, ::3],
        whole[..., ::-1],
        whole.transpose(1, 0, 2),
        whole[3:50, 7:60],
    ):
        np.testing.assert_array_equal(preprocess(view), preprocess(np.ascontiguousarray(view)))
    still = np.broadcast_to(np.uint8(9), (30, 40, 3))
    assert (preprocess(still) == 9).all()
    frozen = noise(50, 50, 3)
    frozen.setflags(write=False)
    preprocess(frozen)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (np.zeros((10, 10, 4), np.uint8), r"drop the alpha channel: frame\[:, :, :3\]"),
        (np.zeros((10, 10, 2), np.uint8), "must have shape"),
        (np.zeros((1, 10, 10, 3), np.uint8), "give one frame"),
        (np.zeros(10, np.uint8), "must have shape"),
        (np.array(3, np.uint8), "must have shape"),
        (np.zeros((10, 10, 3), np.float32), "must be uint8 with values 0..255, but got float32"),
        (np.zeros((10, 10), np.uint16), "but got uint16"),
        (np.zeros((10, 10), bool), "but got bool"),
        (np.zeros((0, 10, 3), np.uint8), "at least one pixel"),
        (np.zeros((10, 0), np.uint8), "at least one pixel"),
        (np.zeros((10, 10, 0), np.uint8), "at least one pixel"),
        (None, "but got NoneType"),
        ([[1, 2], [3, 4]], "but got list"),
        ("picture.jpg", "but got str"),
    ],
)
def test_anything_but_a_frame_raises_an_error_that_names_what_was_given(frame, message):
    for preprocess in (COLOUR, GREY):
        with pytest.raises(FrameError, match=message):
            preprocess(frame)


def test_a_batch_is_made_of_one_frame_an_array_a_list_or_a_generator_of_mixed_sizes():
    frames = [noise(30, 40, 3), noise(50, 20), noise(9, 9, 1), noise(1, 1, 3)]
    expected = np.stack([COLOUR(frame) for frame in frames])
    for given_as in (frames, tuple(frames), iter(frames), (frame for frame in frames)):
        np.testing.assert_array_equal(COLOUR.batch(given_as), expected)
    four = noise(4, 30, 40, 3)
    np.testing.assert_array_equal(COLOUR.batch(four), COLOUR.batch(list(four)))
    np.testing.assert_array_equal(COLOUR.batch(four[0]), COLOUR.batch(four[:1]))
    assert COLOUR.batch([]).shape == (0, 24, 20, 3)
    assert COLOUR.batch(four[:0]).shape == (0, 24, 20, 3)


@pytest.mark.parametrize("frames", [None, 3, "clip.mp4", b"jpeg", object()])
def test_an_argument_that_is_no_frames_is_refused_at_once(frames):
    with pytest.raises(FrameError, match=r"read files with edgefs\.read_image"):
        as_frames(frames)


def test_chunks_read_no_more_from_a_generator_than_they_yield():
    taken = []

    def video():
        for i in range(7):
            taken.append(i)
            yield noise(2, 2)

    parts = chunks(video(), 3)
    assert [len(next(parts)), len(taken)] == [3, 3]
    assert [len(part) for part in parts] == [3, 1]


def test_a_contract_is_equal_after_json_and_pickle():
    for preprocess in (COLOUR, GREY, Preprocess((7, 9), crop="stretch", resampler="half-area-linear")):
        preprocess(noise(50, 50, 3))  # a used one too: data loaders send them to other processes
        assert Preprocess.from_json(preprocess.to_json()) == preprocess
        assert pickle.loads(pickle.dumps(preprocess)) == preprocess  # noqa: S301 our own bytes


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *[("size", size) for size in [(0, 1), (5,), (5, 5000), (5.0, 5)]],
        *[("channels", 2), ("crop", "round"), ("resampler", "best")],
    ],
)
def test_an_invalid_option_is_an_option_error_and_in_a_manifest_a_corrupt_bundle(key, value):
    with pytest.raises(OptionError, match="preprocess must have"):
        Preprocess(**{"size": (24, 20), key: value})
    with pytest.raises(BundleCorrupt, match=r"preprocess must be a valid table.*preprocess must have.*pack it again"):
        Preprocess.from_json({**Preprocess((24, 20)).to_json(), key: value})


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from(CROPS),
    st.sampled_from(RESAMPLERS),
    st.sampled_from([(), (1,), (3,)]),
    st.sampled_from([1, 3]),
)
def test_a_frame_of_any_size_becomes_an_input_of_any_size(frame_size, size, crop, resampler, depth, channels):
    preprocess = Preprocess(size, channels=channels, crop=crop, resampler=resampler)
    frame = np.full((*frame_size, *depth), 77, np.uint8)
    made = preprocess(frame)
    assert (made == 77).any()
    assert set(np.unique(made)) <= ({77, PAD_GREY} if crop == "pad" else {77})

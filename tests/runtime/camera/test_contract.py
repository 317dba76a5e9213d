"""The contract of base.py, tested on a fake camera, a file, a folder and a network camera."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from runtime.camera import FakeCamera, FrameSource, open_camera, realtime
from runtime.errors import FrameError

KINDS = ["fake", "video", "folder", "picture", "realtime video", "realtime fake", "network"]
ENDLESS = {"network"}


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def make(kind: str, request: pytest.FixtureRequest, images: np.ndarray) -> Callable[..., FrameSource]:
    """Open a new source of this kind; keyword arguments are those of open_camera."""
    if kind == "fake":
        return lambda **options: FakeCamera(images, fps=20, **options)
    if kind == "realtime fake":
        return lambda **options: realtime(FakeCamera(images, fps=100, **options))
    if kind == "network":
        url = request.getfixturevalue("http_camera").url
        return lambda **options: open_camera(url, **options)
    path = request.getfixturevalue("clip" if "video" in kind else "folder")
    path = path / "frame3.png" if kind == "picture" else path
    return lambda **options: open_camera(path, realtime="realtime" in kind, **options)


def test_frames_are_bgr_pictures_with_rising_index_and_time(make, kind):
    with make() as source:
        frames = [frame for frame, _ in zip(source, range(5), strict=False)]
    assert frames
    for frame in frames:
        assert frame.image.dtype == np.uint8
        assert frame.image.shape[2:] == (3,)
    assert all(a.index < b.index and a.time_s < b.time_s for a, b in pairwise(frames))


def test_every_captured_frame_is_either_returned_or_counted_as_dropped(make, kind):
    with make() as source:
        frames = [frame for frame, _ in zip(source, range(10), strict=False)]
        gaps = frames[-1].index + 1 - len(frames)
        assert source.dropped >= gaps
        assert source.live or gaps == source.dropped == 0


def test_a_source_with_an_end_returns_none_after_it_every_time(make, kind):
    if kind in ENDLESS:
        pytest.skip("a camera has no end")
    with make() as source:
        assert source.state == "live"
        for _ in source:
            pass
        assert source.read() is None
        assert source.state == "ended"


def test_a_region_is_a_view_of_that_part_of_the_frame(make, kind):
    with make() as whole, make(region=(3, 5, 20, 10)) as part:
        image = whole.read(10).image
        region = part.read(10).image
    assert region.shape == (10, 20, 3)
    assert region.base is not None
    np.testing.assert_array_equal(region, image[5:15, 3:23])


def test_a_region_outside_the_frame_is_refused_with_both_sizes(make, kind):
    with make(region=(40, 0, 100, 10)) as source, pytest.raises(FrameError, match=r"inside the \d+ x 48 frame.*140"):
        source.read(10)


@pytest.mark.parametrize("region", [(0, 0, 0, 5), (-1, 0, 5, 5), (0, 0, 5), (0, 0, 1.5, 5)])
def test_an_invalid_region_is_refused_at_once(make, kind, region):
    with pytest.raises(FrameError, match="four whole numbers"):
        make(region=region)


def test_close_can_be_called_twice_and_ends_reading(make, kind):
    source = make()
    source.close()
    source.close()
    assert source.read() is None
    assert source.state == "ended"


def test_close_leaves_no_thread_process_or_handle(make, kind, leaks_nothing):
    with make() as source:
        source.read(10)


def test_a_source_states_its_name_its_rate_and_whether_it_is_live(make, kind):
    with make() as source:
        assert source.name
        assert "secret" not in source.name
        assert source.fps is None or source.fps > 0
        assert source.live == (kind not in ("video", "folder", "picture"))

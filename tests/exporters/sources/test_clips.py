"""Clips are read from video files, with or without an index that says where the thing is."""

import json

import cv2
import numpy as np
import pytest

from exporters.errors import PicturesError
from exporters.sources.clips import read_clips

WIDTH, HEIGHT, FPS = 64, 48, 10


def write_video(path, n_frames):
    """A white square of 10 x 10 pixels at (20, 15) on black; the green channel counts the frames in steps of 4."""
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), FPS, (WIDTH, HEIGHT))
    for i in range(n_frames):
        frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
        frame[15:25, 20:30] = (255, 4 * i, 255)
        writer.write(frame)
    writer.release()


@pytest.fixture
def folder(tmp_path):
    write_video(tmp_path / "mug.avi", 30)
    return tmp_path


def write_index(folder, *entries):
    (folder / "index.json").write_text(json.dumps(entries))


def test_without_an_index_every_video_is_a_thing_of_its_own_and_the_whole_frame_is_used(folder):
    write_video(folder / "cup.avi", 12)
    (folder / "notes.txt").write_text("no video")
    cup, mug = read_clips(folder)
    assert [(clip.name, clip.group, len(clip.frames)) for clip in (cup, mug)] == [
        ("cup", "cup", 12),
        ("mug", "mug", 30),
    ]
    assert {frame.shape for frame in mug.frames} == {(HEIGHT, WIDTH, 3)}
    np.testing.assert_allclose(mug.times_s, np.arange(30) / FPS, atol=1e-6)


def test_an_index_names_the_thing_its_time_and_its_box(folder):
    entry = {"file": "mug.avi", "name": "mug on a table", "group": "mug", "start_s": 1.0, "end_s": 2.4}
    write_index(folder, {**entry, "box": [20, 15, 10, 10]})
    (clip,) = read_clips(folder)
    assert (clip.name, clip.group, len(clip.frames)) == ("mug on a table", "mug", 15)
    np.testing.assert_allclose(clip.times_s, np.arange(15) / FPS, atol=1e-6)
    for i, frame in enumerate(clip.frames):
        assert frame.shape == (11, 11, 3)  # the box and a tenth more
        assert int(frame[5, 5, 1]) == pytest.approx(4 * (10 + i), abs=12)
        assert frame[5, 5, 0] > 200
        assert frame.flags.c_contiguous


def test_a_thing_that_moves_is_cut_out_by_the_box_of_each_frame(folder):
    (folder / "boxes.txt").write_text("".join(f"{i},20,15,{10 + i},10\n" for i in range(30)))
    write_index(folder, {"file": "mug.avi", "boxes_file": "boxes.txt"})
    (clip,) = read_clips(folder)
    assert clip.name == clip.group == "mug.avi"
    assert clip.frames[0].shape[1] < clip.frames[-1].shape[1]


def test_long_spans_are_thinned_and_a_box_at_the_edge_stays_inside(folder):
    entry = {"file": "mug.avi", "start_s": 0.0, "end_s": 2.9}
    write_index(folder, {**entry, "box": [-5, -5, 4, 4]})
    (clip,) = read_clips(folder, max_frames=15)
    assert len(clip.frames) == 15
    np.testing.assert_allclose(np.diff(clip.times_s), 0.2, atol=1e-6)
    assert all(frame.shape == (8, 8, 3) for frame in clip.frames)


def test_a_long_video_without_an_index_is_thinned_too(folder):
    (clip,) = read_clips(folder, max_frames=10)
    assert len(clip.frames) == 15
    np.testing.assert_allclose(np.diff(clip.times_s), 0.2, atol=1e-6)


def test_a_folder_without_a_long_enough_clip_is_refused(tmp_path):
    with pytest.raises(PicturesError, match="must hold videos of at least 10 frames"):
        list(read_clips(tmp_path))
    write_video(tmp_path / "short.avi", 5)
    with pytest.raises(PicturesError, match="must hold videos of at least 10 frames"):
        list(read_clips(tmp_path))


@pytest.mark.parametrize("text", ["{", "[{}]", "[1]"])
def test_an_index_that_cannot_be_read_is_refused(folder, text):
    (folder / "index.json").write_text(text)
    with pytest.raises(PicturesError, match=r"with or without an index\.json"):
        list(read_clips(folder))


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(PicturesError, match="must be a folder of videos"):
        list(read_clips(tmp_path / "nothing"))

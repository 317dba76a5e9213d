from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from runtime.camera import open_camera
from runtime.camera.files import natural
from runtime.errors import CameraMissing, FrameError, VideoTruncated
from runtime.opencv import read_image

FORMATS = [("mp4v", "mp4"), ("mp4v", "mov"), ("MJPG", "avi"), ("XVID", "avi"), ("mp4v", "mkv"), ("VP80", "webm")]


def faststart(data: bytes) -> bytes:
    """Move the index of an MP4 to the front, as in files for the web, so that a cut file can still be played."""
    moov = data.rindex(b"moov") - 4
    index = bytearray(data[moov:])
    at = index.index(b"stco") + 8
    for offset in range(at + 4, at + 4 + 4 * struct.unpack_from(">I", index, at)[0], 4):
        struct.pack_into(">I", index, offset, struct.unpack_from(">I", index, offset)[0] + len(index))
    head = struct.unpack_from(">I", data)[0]  # ftyp stays first
    return data[:head] + bytes(index) + data[head:moov]


@pytest.mark.parametrize(("fourcc", "suffix"), FORMATS)
def test_a_complete_video_is_read_to_its_end(tmp_path, write_video, fourcc, suffix):
    with open_camera(write_video(tmp_path / f"v.{suffix}", fourcc)) as video:
        frames = list(video)
    assert [frame.index for frame in frames] == list(range(12))
    assert video.fps == 20
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(12) / 20, atol=0.002)
    grey = [int(frame.image[:24].mean()) for frame in frames]
    np.testing.assert_allclose(grey, np.arange(12) * 20, atol=12)  # compression is lossy


@pytest.mark.parametrize("keep", [0.3, 0.9, 0.97])
@pytest.mark.parametrize(("fourcc", "suffix"), FORMATS[2:])
def test_a_cut_video_gives_its_frames_and_then_raises_video_truncated(tmp_path, write_video, fourcc, suffix, keep):
    path = write_video(tmp_path / f"v.{suffix}", fourcc, 40)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])
    video = open_camera(path)
    with pytest.raises(VideoTruncated, match=r"ends after \d+ frames .* of about 40.*Do: copy"):
        list(video)
    assert video.state == "ended"


@pytest.mark.parametrize("keep", [0.3, 0.9, 0.99])
def test_a_cut_mp4_for_the_web_raises_video_truncated_at_its_end(tmp_path, clip, keep):
    data = faststart(clip.read_bytes())
    path = tmp_path / "web.mp4"
    path.write_bytes(data)
    assert len(list(open_camera(path))) == 12
    path.write_bytes(data[: int(len(data) * keep)])
    frames = iter(open_camera(path))
    next(frames)
    with pytest.raises(VideoTruncated, match=r"web\.mp4 must hold the video it announces"):
        list(frames)


def test_an_mp4_with_appended_data_is_not_cut(tmp_path, clip):
    path = tmp_path / "trailer.mp4"
    path.write_bytes(clip.read_bytes() + b"\x7f\xff\xff\xffSEFT and whatever a phone writes here")
    assert len(list(open_camera(path))) == 12


def test_a_video_that_ends_in_zeros_is_cut(tmp_path, write_video):
    data = bytearray(faststart(write_video(tmp_path / "long.mp4", count=60).read_bytes()))
    data[len(data) // 3 :] = bytes(len(data) - len(data) // 3)
    path = tmp_path / "zeros.mp4"
    path.write_bytes(data)
    with pytest.raises(VideoTruncated, match="of about 60"):
        list(open_camera(path))


def test_a_video_that_is_damaged_in_the_middle_is_not_cut(tmp_path, write_video):
    path = write_video(tmp_path / "v.avi", "MJPG", 40)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    path.write_bytes(data)
    assert len(list(open_camera(path))) >= 37


def write_gif(path: Path, frames: int = 5) -> bytes:
    """Build a GIF without an encoder: 2 x 2 pixels, 0.1 s per frame, LZW codes 4 (clear) 0 0 0 0 5 (end)."""
    frame = b"!\xf9\x04\0\x0a\0\0\0" + b",\0\0\0\0\x02\0\x02\0\0" + b"\x02\x03\x04\x00\x05\0"
    data = b"GIF89a\x02\0\x02\0\x80\0\0" + bytes(3) + b"\xff\xff\xff" + frame * frames + b";"
    path.write_bytes(data)
    return data


def test_a_gif_is_a_video_and_a_cut_one_is_found_by_its_missing_trailer(tmp_path):
    path = tmp_path / "v.gif"
    data = write_gif(path)
    whole = len(list(open_camera(path)))
    assert whole >= 4
    path.write_bytes(data[:-40])
    with pytest.raises(VideoTruncated):
        list(open_camera(path))


@pytest.mark.parametrize("keep", [0, 20, 5000])
def test_a_video_without_its_index_is_refused_at_once(tmp_path, clip, keep):
    path = tmp_path / "cut.mp4"
    path.write_bytes(clip.read_bytes()[:keep])
    with pytest.raises(VideoTruncated, match=rf"cut off after {keep:,} bytes.*index.*Do: copy or download"):
        open_camera(path)


@pytest.mark.parametrize("stream", ["H.264", "motion JPEG"])
@pytest.mark.parametrize("name", ["raw.h264", "raw.mjpeg", "raw.bin"])
def test_the_times_of_a_raw_stream_follow_from_index_and_rate(tmp_path, raw_streams, stream, name):
    (tmp_path / name).write_bytes(raw_streams[stream](60))
    with open_camera(tmp_path / name) as video:
        frames = list(video)
    assert video.fps == 25  # what FFmpeg assumes where nothing is stated
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(60) / 25, atol=1e-9)


def test_a_stream_of_jpegs_that_is_named_as_a_picture_is_not_read_as_its_first_one(tmp_path, raw_streams):
    (tmp_path / "raw.jpg").write_bytes(raw_streams["motion JPEG"](60))
    with pytest.raises(CameraMissing, match=r"holds several JPEGs .* rename it to raw\.mjpeg"):
        open_camera(tmp_path / "raw.jpg")


@pytest.mark.parametrize(("fourcc", "suffix"), [("MPG2", "m2v"), ("MPG1", "m1v"), ("MPG1", "mpg"), ("MPG2", "ts")])
def test_no_frame_of_a_stream_lies_before_the_one_before(tmp_path, write_video, fourcc, suffix):
    times = [frame.time_s for frame in open_camera(write_video(tmp_path / f"v.{suffix}", fourcc, 60))]
    assert len(times) == 60
    assert 0 <= times[0] < 0.2
    assert min(np.diff(times)) > 0


def test_a_stream_without_times_and_rate_is_an_error(tmp_path, raw_streams, monkeypatch):
    (tmp_path / "raw.h264").write_bytes(raw_streams["H.264"](3))
    monkeypatch.setattr("runtime.camera.files.plausible_fps", lambda _: None)
    video = open_camera(tmp_path / "raw.h264")
    video.read()
    with pytest.raises(CameraMissing, match=r"must state the times of its frames or its rate.*ffmpeg -r RATE"):
        video.read()


NO_SOURCE = {
    "icon.ico": b"\0\0\1\0\1\0\x10\x10",
    "list.m3u8": b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n",
    "list.ffconcat": b"ffconcat version 1.0\nfile clip.mp4\n",
    "notes.txt": b"these are my notes\n" * 100,
    "scan.pdf": b"%PDF-1.7",
}


@pytest.mark.parametrize("name", NO_SOURCE)
@pytest.mark.parametrize("named", ["", ".mp4"])
def test_what_is_no_picture_and_no_video_is_never_given_to_ffmpeg(tmp_path, name, named, monkeypatch):
    (tmp_path / f"{name}{named}").write_bytes(NO_SOURCE[name])
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: pytest.fail("FFmpeg was asked"))
    with pytest.raises(CameraMissing, match=r"must be a picture \(JPEG.* or a video \(GIF.*are neither \("):
        open_camera(tmp_path / f"{name}{named}")


PICTURES = {"AVIF": b"\0\0\0\x18ftypavif", "HEIC": b"\0\0\0\x18ftypheic"}


@pytest.mark.parametrize("format_", PICTURES)
@pytest.mark.parametrize("name", ["a.heic", "a.jpg", "a.mov", "a"])
def test_pictures_in_a_container_of_videos_are_pictures(tmp_path, format_, name):
    (tmp_path / name).write_bytes(PICTURES[format_])
    with pytest.raises(FrameError, match=rf"{name} cannot be used: a {format_} must"):
        open_camera(tmp_path / name).read()


@pytest.mark.skipif(not cv2.haveImageWriter(".avif"), reason="this OpenCV was built without AVIF")
def test_an_avif_is_read_as_the_library_reads_it(tmp_path):
    path = tmp_path / "photo.avif"
    path.write_bytes(cv2.imencode(".avif", np.full((48, 64, 3), 90, np.uint8))[1].tobytes())
    (frame,) = open_camera(path)
    np.testing.assert_array_equal(frame.image, read_image(path))


def test_a_text_file_named_mp4_is_no_video(tmp_path):
    path = tmp_path / "notes.mp4"
    path.write_text("these are my notes\n" * 100)
    with pytest.raises(
        CameraMissing, match=r"notes\.mp4 must be a picture .* or a video .*1,900 bytes are neither.*ffmpeg"
    ):
        open_camera(path)


def test_a_name_that_looks_like_a_protocol_is_still_a_file(tmp_path, clip, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a:b%03d.mp4").write_bytes(clip.read_bytes())
    assert len(list(open_camera("a:b%03d.mp4"))) == 12


def test_the_pictures_of_a_folder_are_read_in_natural_order(folder):
    with open_camera(folder) as source:
        frames = list(source)
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [20 * index for index in range(12)]
    assert [frame.time_s for frame in frames[:3]] == [0, 1, 2]


def test_the_time_of_a_picture_follows_from_the_rate(folder):
    assert [frame.time_s for frame in open_camera(folder, fps=10)][:3] == [0, 0.1, 0.2]


def test_an_unreadable_picture_is_named_and_the_next_one_can_be_read(folder):
    (folder / "frame1.png").write_bytes(b"broken")
    source = open_camera(folder)
    source.read()
    with pytest.raises(FrameError, match=r"frame1\.png"):
        source.read()
    assert source.read().index == 2


def test_an_empty_folder_is_refused_with_the_expected_contents(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(CameraMissing, match=r"must hold pictures \(JPEG.*none of its 1 files is one"):
        open_camera(tmp_path)


def test_a_picture_without_an_extension_is_known_by_its_content(folder):
    bare = (folder / "frame3.png").rename(folder / "photo")
    (frame,) = open_camera(bare)
    np.testing.assert_array_equal(frame.image, cv2.imread(str(bare)))


def test_a_damaged_picture_is_reported_as_a_picture_and_not_as_a_video(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"broken")
    with pytest.raises(FrameError, match=r"photo\.jpg"):
        open_camera(path).read()


def test_natural_order_sorts_numbers_within_names_by_value():
    names = ["b1", "a10", "a2", "a2b", "10", "9", "a"]
    assert sorted(names, key=lambda name: natural(Path(name))) == ["a", "a2", "a2b", "a10", "b1", "9", "10"]

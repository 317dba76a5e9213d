"""The main job from start to end, without camera, network or data: `edgefs demo`.

`run_demo()` uses photographs filmed by a virtual camera. With a video file of yours:
`run_demo(source="clip.mp4", teach=[Span(0, 1, "mug", "mug")])`.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefs.demo import page, report
from edgefs.demo.playback import play
from edgefs.demo.spans import Span, in_order
from edgefs.demo.stream import Plan, Recording, record
from edgefs.reports.progress import Progress, show
from runtime.bundle import Bundle
from runtime.errors import CameraMissing, EdgefsError
from runtime.models import default_bundle
from runtime.recognizer import Recognizer

if TYPE_CHECKING:
    from runtime.camera import Region
    from runtime.engines import Engine

__all__ = ["Plan", "Span", "run_demo"]


def run_demo(
    out: str | Path = "demo-output",
    *,
    bundle: Bundle | None = None,
    engine: str | Engine = "auto",
    device: str | None = None,
    source: str | Path | None = None,
    teach: Iterable[Span] = (),
    region: Region | None = None,
    seed: int = 0,
    plan: Plan | None = None,
    progress: Progress = show,
) -> dict[str, Any]:
    """Enrol, recognise, count, and write out/index.html.

    Args:
        out: Folder for the page and the video.
        bundle: Default: the embedded one.
        engine: A name of `runtime.engines.ENGINES`, "auto", or an opened engine.
        device: The device that OpenVINO runs on, as in `Recognizer`.
        source: A video file to use instead of the virtual camera.
        teach: What spans of `source` show; default: "object" in its first second.
        region: (x, y, width, height) in pixels: the only part of `source` that is looked at.
        seed: Random seed of the virtual camera.
        plan: Durations of the clips of the virtual camera.
        progress: Shows progress.

    Returns:
        The figures as a dict that JSON can hold. "passed" says whether REQUIRED in report.py is reached; for `source`,
        whether every span has at least one accepted frame.

    Raises:
        EdgefsError: There is no engine, no photographs or no such video, a span or the region lies outside the video,
            or the folder cannot be written.
    """
    start = time.perf_counter()
    out = Path(out)
    with _writing(out):
        out.mkdir(parents=True, exist_ok=True)
        (out / "index.html").unlink(missing_ok=True)  # a run that fails must not leave an old page
    with Recognizer(bundle or default_bundle(), engine=engine, device=device) as recognizer:
        recording = record(out, seed=seed, plan=plan, progress=progress) if source is None else _own(source, teach)
        playback = play(recognizer, recording, region=region if source is not None else None, progress=progress)
        figures = report.build(playback, recognizer)
    figures |= {"seed": seed if source is None else None, "page": str(out / "index.html")}
    figures["seconds"] = round(time.perf_counter() - start, 1)
    with _writing(out):
        (out / "index.html").write_text(page.render(playback, figures, recognizer.bundle.metric), encoding="utf-8")
    return figures


@contextlib.contextmanager
def _writing(out: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EdgefsError(
            f"{out} must be a folder that can be written, but: {error.strerror}; choose another"
        ) from error


def _own(source: str | Path, teach: Iterable[Span]) -> Recording:
    path = Path(source)
    if not path.is_file():  # it is read twice, which a camera cannot be
        raise CameraMissing(f"source must be a video file, but {path} is none; for a camera use `edgefs live`")
    return Recording(path, in_order(teach) or [Span(0.0, 1.0, "object", "object")], None)

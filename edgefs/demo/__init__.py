"""The main job from start to end, with neither camera, network nor data: `edgefs demo`.

`run_demo()` films and recognises photographs; `run_demo(source="clip.mp4", teach=[Span(0, 1, "mug", "mug")])` a clip.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefs.demo import page, report
from edgefs.demo.progress import Progress, show
from edgefs.demo.spans import Span, in_order
from edgefs.demo.story import play
from edgefs.demo.stream import Plan, Recording, record
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
    source: str | Path | None = None,
    teach: Iterable[Span] = (),
    region: Region | None = None,
    seed: int = 0,
    plan: Plan | None = None,
    progress: Progress = show,
) -> dict[str, Any]:
    """Enrol, recognise, count; write out/index.html; return the figures as a JSON-able dict.

    source: a video of yours instead of the virtual camera.  teach: what its spans show; default "object", its first
        second.  region: (x, y, width, height) in pixels, the only part of it that is looked at.
    seed, plan: of the virtual camera.
    "passed" in the result: REQUIRED in report.py reached; for `source`, every span kept at least one frame.
    Raises EdgefsError: no engine, no photographs, no such video, an unsound span or region, a folder that cannot be
        written.
    """
    start = time.perf_counter()
    out = Path(out)
    with _writing(out):
        out.mkdir(parents=True, exist_ok=True)
        (out / "index.html").unlink(missing_ok=True)  # an old page must not pass for the result of a run that failed
    with Recognizer(bundle or default_bundle(), engine=engine) as recognizer:
        recording = record(out, seed=seed, plan=plan, progress=progress) if source is None else _own(source, teach)
        story = play(recognizer, recording, region=region if source is not None else None, progress=progress)
        figures = report.build(story, recognizer)
    figures |= {"seed": seed if source is None else None, "page": str(out / "index.html")}
    figures["seconds"] = round(time.perf_counter() - start, 1)
    with _writing(out):
        (out / "index.html").write_text(page.render(story, figures, recognizer.bundle.metric), encoding="utf-8")
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
    if not path.is_file():  # it is read twice, so a camera will not do
        raise CameraMissing(f"source must be a video file, but {path} is none; for a camera use `edgefs live`")
    return Recording(path, in_order(teach) or [Span(0.0, 1.0, "object", "object")], None)

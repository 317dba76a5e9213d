"""`edgefs.export`: open an embedder of any kind, collect pictures, and build a verified bundle."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.errors import BundleError, OptionError
from runtime.preprocess import Preprocess

if TYPE_CHECKING:
    from exporters.pipeline import Exported
    from exporters.sources.source import Source
    from exporters.targets.request import Request

KINDS = ("checkpoint", "backbone", "onnx")
CALIBRATION_FRAMES = 300
BASE_PICTURES = 600


def export(
    model: Any,
    out: str | Path,
    *,
    kind: str | None = None,
    name: str | None = None,
    overwrite: bool = False,
    weights: str = "DEFAULT",
    size: int | None = None,
    crop: str | None = None,
    mean: float | Sequence[float] | None = None,
    std: float | Sequence[float] | None = None,
    colour: str = "rgb",
    metric: str = "cosine",
    output: str | None = None,
    pool: str | None = None,
    preprocess: Preprocess | None = None,
    calibrate: str | Path | None = None,
    frames: int = CALIBRATION_FRAMES,
    base: str | Path | None = None,
    verify: str | Path | None = None,
    report: str | Path | None = None,
    triton: str | Path | None = None,
    ovms: str | Path | None = None,
    progress: Callable[[str], object] = str,
    request: Request | None = None,
    **options: Any,
) -> Exported:
    """Turn an embedder into a device bundle, and verify every artifact in it against the embedder.

        edgefs.export("run/best.safetensors", "model.edgefs", targets=("onnx", "openvino"))
        edgefs.export("mobilenet_v3_small", "small.edgefs", precisions=("fp32", "int8"), calibrate="photos/")
        edgefs.export(network, "mine.edgefs", size=96, mean=0.5, std=0.25)

    Args:
        model: A checkpoint, the name of a backbone, an ONNX file, an `nn.Module` that maps normalised pixels
            `float32 [N, C, H, W]` to features `[N, D]`, or an `exporters` source.
        out: The bundle to write; a name that ends in .zip is one file.
        kind: "checkpoint", "backbone" or "onnx". None means: a name that ends in .onnx is an ONNX file, another file
            is a checkpoint, and any other name is a backbone.
        name: Name of the bundle; None means that of the model.
        overwrite: Whether an existing bundle is replaced.
        weights: Of a backbone: a file, "DEFAULT" (those of its library) or "none" (random).
        size: Pixels of a side of the square input; None means that of the model.
        crop: What is used of a frame: "square" (its centre), "stretch" (all, squeezed) or "pad" (all, with grey
            borders). None means that of the model, or "square" for a square input and "stretch" for any other.
        mean: Mean of the pixels in 0..1, one number or one per channel; None means that of the weights.
        std: Standard deviation of the pixels, likewise.
        colour: What an ONNX file or a module expects: "rgb", "bgr" or "grey".
        metric: "cosine" or "euclidean"; a checkpoint has its own.
        output: The tensor or layer of an ONNX file that is the embedding; None means its only output.
        pool: How the map or the tokens at the end of an ONNX file become one vector: "mean", "gem" or "cls".
        preprocess: Of a module, in place of `size`.
        calibrate: A folder or a video of pictures as the device will see them; required for int8.
        frames: How many of them are used.
        base: A folder of class folders, to centre the embedding and to calibrate rejection; None means `calibrate`.
        verify: A folder or a video to verify on; None means `calibrate`, or else the photographs of scikit-image.
        report: An HTML file for the results of the verification.
        triton: A Triton model repository to which every artifact is added.
        ovms: An OpenVINO Model Server repository to which every OpenVINO artifact is added.
        progress: Called with a description of each step as it begins.
        request: The options below as one object.
        options: Fields of `exporters.Request`: targets, precisions, allow, keep, exporter, slim, max_batch, compute,
            threads, tensorrt. They take precedence over `request`.

    Returns:
        The saved bundle, a report for every artifact, and whether all passed.

    Raises:
        ExportError: The model cannot be exported, or model.onnx does not answer as the model does.
        OptionError: An option is wrong, or a path cannot be written; found before any work.
        BundleError: The bundle exists already, or cannot be written.
    """
    _check_paths(Path(out), overwrite, {"report": report, "triton": triton, "ovms": ovms})
    from exporters.pipeline import export as run
    from exporters.serving import write_ovms, write_triton
    from exporters.sources.pictures import sample_pictures, verification_pictures
    from exporters.targets.request import Request

    progress("source")
    source = _open(
        model, kind, weights=weights, size=size, crop=crop, mean=mean, std=std, colour=colour, metric=metric,
        output=output, pool=pool, preprocess=preprocess,
    )  # fmt: skip
    if crop:
        source.preprocess = replace(source.preprocess, crop=crop)
    source.name = name or source.name
    progress("pictures")
    if calibrate:
        options["calibration"] = options["base"] = sample_pictures(calibrate, source.preprocess, count=frames)
    if base:
        options["base"] = sample_pictures(base, source.preprocess, count=BASE_PICTURES)
    request = replace(request or Request(), **options)
    exported = run(source, request, verification_pictures(verify or calibrate, source.preprocess), progress=progress)
    exported = replace(exported, bundle=exported.bundle.save(out, overwrite=overwrite))
    if triton:
        write_triton(exported.bundle, Path(triton), max_batch=request.max_batch)
    if ovms:
        write_ovms(exported.bundle, Path(ovms))
    if report:
        from edgefs.reports.export_page import render

        page = summary(exported, triton=bool(triton))
        page["artifacts"] = [made.to_json() for made in exported.reports]
        Path(report).parent.mkdir(parents=True, exist_ok=True)
        Path(report).write_text(render(page), "utf-8")
    return exported


def summary(exported: Exported, *, triton: bool = False) -> dict[str, Any]:
    """Return the result of an export as `edgefs export --json` gives it.

    Args:
        exported: The result.
        triton: Whether artifacts that Triton does not run are listed, as `not_served`.
    """
    from exporters.serving import not_served

    bundle = exported.bundle
    verified_on = bundle.manifest["provenance"]["verified_on"]
    return {
        "bundle": str(bundle.path),
        "name": bundle.name,
        "fingerprint": bundle.fingerprint,
        "artifacts": exported.reports,
        "source_ms": exported.source_ms,
        "verified_on": {key: value for key, value in verified_on.items() if key != "names"},
        "passed": exported.passed,
        **({"not_served": not_served(bundle)} if triton else {}),
    }


def _open(
    model: Any,
    kind: str | None,
    *,
    weights: str,
    size: int | None,
    crop: str | None,
    mean: float | Sequence[float] | None,
    std: float | Sequence[float] | None,
    colour: str,
    metric: str,
    output: str | None,
    pool: str | None,
    preprocess: Preprocess | None,
) -> Source:
    if hasattr(model, "state_dict"):
        return _module(model, size, mean, std, colour, metric, preprocess)
    if hasattr(model, "to_onnx"):
        source: Source = model
        return source
    path = str(model)
    if kind is None:
        is_file = Path(path).suffix == ".safetensors" or Path(path).is_file()
        kind = "onnx" if path.endswith(".onnx") else "checkpoint" if is_file else "backbone"
    if kind == "onnx":
        from exporters.sources.onnx_source import open_onnx

        mean, std = _numbers(mean, 1), _numbers(std, 1)
        return open_onnx(
            path, size=size, crop=crop, colour=colour, metric=metric, output=output, pool=pool, mean=mean, std=std
        )
    if output or pool:
        raise OptionError("--output and --pool say where an ONNX file ends; leave them out without --onnx")
    from edgefs.sources import backbone_source, checkpoint_source

    if kind == "checkpoint":
        return checkpoint_source(path, size=size)
    if kind != "backbone":
        raise OptionError(f"kind must be one of {', '.join(KINDS)}, but got {kind!r}")
    return backbone_source(
        path, weights=weights, size=size, mean=_numbers(mean, 3), std=_numbers(std, 3), metric=metric
    )


def _module(
    module: Any,
    size: int | None,
    mean: float | Sequence[float] | None,
    std: float | Sequence[float] | None,
    colour: str,
    metric: str,
    preprocess: Preprocess | None,
) -> Source:
    from exporters.onnx.graph import EmbedderGraph
    from exporters.sources.torch_source import TorchSource

    channels = 1 if colour == "grey" else 3
    means, stds = _numbers(mean, channels), _numbers(std, channels)
    if means is None or stds is None or not (size or preprocess):
        raise OptionError("a module must come with its normalisation and size; give mean, std, and size or preprocess")
    graph = EmbedderGraph(module, mean=means, std=stds, colour=colour, metric=metric)
    side = size or 0
    return TorchSource(type(module).__name__, graph, preprocess or Preprocess((side, side), channels))


def _numbers(values: float | Sequence[float] | None, channels: int) -> tuple[float, ...] | None:
    """Return one number per channel; a single number stands for all of them."""
    if values is None:
        return None
    numbers = (values,) if isinstance(values, (int, float)) else tuple(values)
    return numbers * channels if len(numbers) == 1 else numbers


def _check_paths(out: Path, overwrite: bool, others: Mapping[str, str | Path | None]) -> None:
    """Refuse an existing bundle and every path that cannot be written, before any work."""
    if out.exists() and not overwrite:
        raise BundleError(f"{out} exists already; choose another name, or replace it with --overwrite")
    for option, path in {"out": out, **others}.items():
        if path is not None:
            folder = next(parent for parent in Path(path).absolute().parents if parent.exists())
            if not folder.is_dir() or not os.access(folder, os.W_OK):
                raise OptionError(f"--{option} {path} must be writable, but {folder} is not; choose another place")

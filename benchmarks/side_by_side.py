"""Beside what people would otherwise use, on the same weights and the same 720p frames, call by call in one run.

    python -m benchmarks.side_by_side BUNDLE --weights mobilenet_v2_imagenet_fp16.safetensors [--seconds 30]

BUNDLE is MobileNetV2, exported from the same weights by `edgefs export`. The others, as their own documentation has it:

- torch: torchvision transforms (PIL resize, centre crop, normalise), eager MobileNetV2, easyfsl's PrototypicalNetworks;
- torch + cv2: the same, with cv2 in place of PIL, for those who know;
- OpenVINO inferencer: cv2, float32 in numpy, a compiled model called with an array, as anomalib's OpenVINOInferencer
  and model_api do it; the graph is converted from the torch network;
- bare: ONNX Runtime and OpenVINO without us (edgefs/bench/library.py), as onnxruntime_perf_test does;
- benchmark_app, OpenVINO's own, before and after in processes of its own.

Needs torch, torchvision and easyfsl beside edgefs[pc]; what is not installed is left out and said.
"""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import save
from edgefs.bench import machine
from edgefs.bench.clock import Clock, Sample, figures
from edgefs.bench.library import Call, openvino_files
from edgefs.bench.subjects import N_CLASSES, N_FRAMES, N_SHOTS, Subject, make_frames, open_subjects
from edgefs.cli.options import load_bundle
from edgefs.reports.tables import table
from runtime.bundle import Bundle
from runtime.engines.openvino import core

ROUND = 4  # calls of each contender in a row
BASE = "torch + torchvision + easyfsl"


def torch_contenders(frames: list[np.ndarray], weights: Path, size: int, threads: int) -> dict[str, Call]:
    """MobileNetV2's features in eager torch, prototypes by easyfsl."""
    import cv2
    import torch
    from easyfsl.methods import PrototypicalNetworks
    from PIL import Image
    from safetensors.torch import load_file
    from torchvision import transforms
    from torchvision.models import mobilenet_v2

    torch.set_num_threads(threads)
    network = mobilenet_v2()
    state = {key: tensor.float() for key, tensor in load_file(weights).items()}
    network.load_state_dict({**network.state_dict(), **state})
    network.classifier = torch.nn.Identity()
    few_shot = PrototypicalNetworks(network.eval()).eval()
    normalise = [transforms.ToTensor(), transforms.Normalize([0.5] * 3, [0.5] * 3)]
    whole = transforms.Compose([transforms.CenterCrop(720), transforms.Resize(size), *normalise])
    after_cv2 = transforms.Compose(normalise)
    labels = torch.arange(N_CLASSES).repeat_interleave(N_SHOTS)
    with torch.inference_mode():
        few_shot.process_support_set(torch.rand(N_CLASSES * N_SHOTS, 3, size, size), labels)

    def answer(pixels: Any) -> int:
        with torch.inference_mode():
            return int(few_shot(pixels[None]).argmax())

    def with_pil(i: int) -> int:
        return answer(whole(Image.fromarray(frames[i % len(frames)][..., ::-1])))

    def with_cv2(i: int) -> int:
        square = frames[i % len(frames)][:, 280:1000]
        small = cv2.resize(square, (size, size), interpolation=cv2.INTER_LINEAR)
        return answer(after_cv2(cv2.cvtColor(small, cv2.COLOR_BGR2RGB)))

    inferencer = _inferencer(network, frames, size, threads)
    return {BASE: with_pil, "torch + cv2 + easyfsl": with_cv2, "OpenVINO inferencer": inferencer}


def _inferencer(network: Any, frames: list[np.ndarray], size: int, threads: int) -> Call:
    import cv2
    import openvino
    import torch

    model = openvino.convert_model(network, example_input=torch.rand(1, 3, size, size))
    model.reshape([1, 3, size, size])
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    compiled = core().compile_model(model, "CPU", options)
    prototypes = np.random.default_rng(0).standard_normal((compiled.output(0).shape[1], N_CLASSES)).astype(np.float32)

    def call(i: int) -> int:
        small = cv2.resize(frames[i % len(frames)][:, 280:1000], (size, size), interpolation=cv2.INTER_LINEAR)
        pixels = cv2.cvtColor(small, cv2.COLOR_BGR2RGB).astype(np.float32) / 255
        pixels = ((pixels - 0.5) / 0.5).transpose(2, 0, 1)[None]
        embedding = compiled([pixels])[compiled.output(0)][0]
        return int((embedding / np.linalg.norm(embedding) @ prototypes).argmax())

    return call


def benchmark_app(bundle: Bundle, artifact: str, threads: int, seconds: float) -> float | None:
    """The median that OpenVINO's own benchmark_app states for the same file, threads, arithmetic; None without it."""
    command = [sys.executable, "-c", "from openvino.tools.benchmark.main import main; main()"]
    files = openvino_files(bundle, artifact)
    with tempfile.TemporaryDirectory() as folder:
        names = ("model.xml", "model.bin") if len(files) == 2 else ("model.onnx",)
        for name, data in zip(names, files, strict=True):
            (Path(folder) / name).write_bytes(data.getvalue() if isinstance(data, io.BytesIO) else data)
        shape = f"[1,{','.join(map(str, bundle.preprocess.shape))}]"
        arguments = [*("-m", f"{folder}/{names[0]}", "-shape", shape, "-hint", "none", "-nstreams", "1", "-nireq", "1")]
        arguments += [*("-nthreads", str(threads), "-infer_precision", "f32", "-t", str(max(1, round(seconds))))]
        done = subprocess.run([*command, *arguments, "-api", "sync"], capture_output=True, text=True, check=False)
    found = re.search(r"Median:\s+([\d.]+) ms", done.stdout)
    return float(found[1]) if found else None


def of_edgefs(subject: Subject) -> dict[str, Call]:
    """The library alone, our engine, and all of `recognize()`."""
    name = f"{subject.engine} {subject.precision}"
    calls: dict[str, Call] = {f"bare, {name}": subject.library} if subject.library else {}
    calls[f"edgefs engine, {name}"] = lambda i: subject.recognizer.engine.embed(subject.inputs[i % N_FRAMES])
    calls[f"edgefs recognize, {name}"] = lambda i: subject.recognizer.recognize(subject.frames[i % N_FRAMES])
    return calls


def measure(contenders: dict[str, Call], seconds: float) -> dict[str, dict[str, Any]]:
    """Call all in turn for so long; their figures."""
    clock, samples = Clock(), {name: list[Sample]() for name in contenders}
    end, i = time.perf_counter() + seconds, 0
    while time.perf_counter() < end:
        for name, call in contenders.items():
            call(i)
            clock.refresh()
            for k in range(1, ROUND + 1):
                samples[name].append(clock(lambda: call(i + k)))  # noqa: B023 - called at once
        i += 1
    clock.close()
    return {name: figures(some) for name, some in samples.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    bundle, frames, left_out, contenders = load_bundle(args.bundle), make_frames(), {}, dict[str, Call]()
    try:
        if args.weights:
            contenders |= torch_contenders(frames, args.weights, bundle.preprocess.size[0], args.threads)
    except ImportError as error:
        left_out["torch"] = str(error)
    before = machine.condition()
    with open_subjects(bundle, ["onnxruntime", "openvino"], ["all"], args.threads) as (subjects, _):
        for subject in subjects:
            contenders |= of_edgefs(subject)
        artifact = next(s.info.artifact for s in subjects if (s.engine, s.precision) == ("openvino", "fp32"))
        app_ms = [benchmark_app(bundle, artifact, args.threads, args.seconds / 6)]
        found = measure(contenders, args.seconds)
    app_ms.append(benchmark_app(bundle, artifact, args.threads, args.seconds / 6))
    base = found.get(BASE, {}).get("uncontended_p50_ms")
    rows = []
    for name, of in found.items():
        calm = of["uncontended_p50_ms"]
        of["times_torch"] = round(base / calm, 2) if base and calm else None
        rows.append((name, of["p50_ms"] or "-", calm or "-", of["uncontended_samples"], of["times_torch"] or "-"))
    print(table(rows, ("", "p50 ms", "uncontended p50 ms", "samples", "x torch")))
    print(f"benchmark_app, median ms, before and after: {app_ms}; left out: {left_out or 'nothing'}")
    facts = {"bundle": bundle.name, "threads": args.threads, "before": before, "after": machine.condition()}
    facts |= {"contenders": found, "benchmark_app_ms": app_ms, "left_out": left_out}
    print(f"written to {save('side-by-side', facts)}")


if __name__ == "__main__":
    main()

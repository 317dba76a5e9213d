"""The command line of NVIDIA's own tools that builds, and times, the same plan.

Flags follow the version: 10.x has precision flags and times with data transfers and without a CUDA graph unless told;
11.x has no precision flags, and times without transfers, with a graph and with spin waiting unless told; tensorrt_rtx
follows 11.x. Ours copies in and out, replays a graph and does not spin, so the lines ask for exactly that.
"""

from __future__ import annotations

from collections.abc import Sequence

from exporters.targets.plan import Profile


def trtexec_line(version: str, onnx: str, plan: str, profile: Profile, name: str, flags: Sequence[str]) -> str:
    """version: of TensorRT, "10.3.0".  onnx, plan: file names.  name: of the input.  flags: the build's own."""
    timing = ["--useCudaGraph"] if int(version.split(".")[0]) < 11 else ["--includeDataTransfers", "--noSpinWait"]
    return " ".join(["trtexec", f"--onnx={onnx}", f"--saveEngine={plan}", *_shapes(profile, name), *flags, *timing])


def tensorrt_rtx_line(onnx: str, plan: str, profile: Profile, name: str, compute: Sequence[str]) -> str:
    """compute: "SM86" and the like. Builds without a GPU, so it does not time."""
    targets = ",".join(capability.removeprefix("SM") for capability in compute)
    words = ["tensorrt_rtx", f"--onnx={onnx}", f"--saveEngine={plan}", *_shapes(profile, name), "--noTF32"]
    return " ".join([*words, f"--computeCapabilities={targets}", "--skipInference"])


def _shapes(profile: Profile, name: str) -> list[str]:
    kinds = zip(("min", "opt", "max"), profile.shapes(), strict=True)
    return [f"--{kind}Shapes={name}:{'x'.join(map(str, shape))}" for kind, shape in kinds]

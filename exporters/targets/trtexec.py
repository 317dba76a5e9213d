"""The command line of NVIDIA's own tools that builds, and times, the same plan.

The flags depend on the version. trtexec 10.x has precision flags and times with data transfers and without a CUDA graph
by default; 11.x has no precision flags and times without transfers, with a graph and with spin waiting by default;
tensorrt_rtx follows 11.x. Our engine copies in and out, replays a graph and does not spin, so the lines request that.
"""

from __future__ import annotations

from collections.abc import Sequence

from exporters.targets.plan import Profile


def trtexec_line(version: str, onnx: str, plan: str, profile: Profile, name: str, flags: Sequence[str]) -> str:
    """Return a line of trtexec.

    Args:
        version: Version of TensorRT, such as "10.3.0".
        onnx: Name of the ONNX file.
        plan: Name of the plan.
        profile: The input shapes.
        name: Name of the input.
        flags: Further options of the build.
    """
    timing = ["--useCudaGraph"] if int(version.split(".")[0]) < 11 else ["--includeDataTransfers", "--noSpinWait"]
    return " ".join(["trtexec", f"--onnx={onnx}", f"--saveEngine={plan}", *_shapes(profile, name), *flags, *timing])


def tensorrt_rtx_line(onnx: str, plan: str, profile: Profile, name: str, compute: Sequence[str]) -> str:
    """Return a line of tensorrt_rtx for GPU architectures such as "SM86". It builds without a GPU and does not time."""
    targets = ",".join(capability.removeprefix("SM") for capability in compute)
    parts = ["tensorrt_rtx", f"--onnx={onnx}", f"--saveEngine={plan}", *_shapes(profile, name), "--noTF32"]
    return " ".join([*parts, f"--computeCapabilities={targets}", "--skipInference"])


def _shapes(profile: Profile, name: str) -> list[str]:
    kinds = zip(("min", "opt", "max"), profile.shapes(), strict=True)
    return [f"--{kind}Shapes={name}:{'x'.join(map(str, shape))}" for kind, shape in kinds]

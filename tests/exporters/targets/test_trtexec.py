"""The command lines of NVIDIA's tools follow the version."""

from exporters.targets.plan import Profile
from exporters.targets.trtexec import tensorrt_rtx_line, trtexec_line


def test_trtexec_lines_follow_the_version():
    profile = Profile((32, 32, 3), (1, 1, 8))
    ten = trtexec_line("10.3.0", "m.onnx", "m.plan", profile, "frames", ["--fp16"])
    assert ten == (
        "trtexec --onnx=m.onnx --saveEngine=m.plan --minShapes=frames:1x32x32x3 --optShapes=frames:1x32x32x3 "
        "--maxShapes=frames:8x32x32x3 --fp16 --useCudaGraph"
    )
    eleven = trtexec_line("11.4.0.106", "m.onnx", "m.plan", profile, "frames", [])
    assert eleven.endswith("8x32x32x3 --includeDataTransfers --noSpinWait")
    rtx = tensorrt_rtx_line("m.onnx", "m.plan", profile, "frames", ["SM75", "SM120"])
    assert rtx.startswith("tensorrt_rtx --onnx=m.onnx")
    assert rtx.endswith("--noTF32 --computeCapabilities=75,120 --skipInference")

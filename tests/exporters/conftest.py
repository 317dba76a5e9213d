"""Small pictures and small networks, so that many cases are tested in little time; large networks are slow tests."""

import io

import numpy as np
import pytest

from runtime.preprocess import Preprocess

SIDE = 32


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """Class folders: 8 classes of 6 PNGs, each class a colour pattern with noise."""
    import cv2

    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for c in range(8):
        pattern = cv2.resize(rng.integers(0, 256, (4, 4, 3), np.uint8), (48, 48), interpolation=cv2.INTER_NEAREST)
        (root / f"class {c}").mkdir()
        for i in range(6):
            noisy = pattern.astype(int) + rng.integers(-60, 60, pattern.shape)
            cv2.imwrite(str(root / f"class {c}" / f"{i}.png"), noisy.clip(0, 255).astype(np.uint8))
    return root


@pytest.fixture(scope="session")
def preprocess():
    return Preprocess((SIDE, SIDE))


@pytest.fixture(scope="session")
def pictures(photos, preprocess):
    from exporters.sources.pictures import sample_pictures

    return sample_pictures(photos, preprocess)


@pytest.fixture(scope="session")
def tiny_source(preprocess):
    """A torch embedder of two convolutions, 16 numbers out."""
    torch = pytest.importorskip("torch")
    from exporters.onnx.graph import EmbedderGraph
    from exporters.sources.torch_source import TorchSource

    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=2), torch.nn.BatchNorm2d(8), torch.nn.ReLU(),
        torch.nn.Conv2d(8, 16, 3, stride=2), torch.nn.ReLU(),
        torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(16, 16),
    )  # fmt: skip
    return TorchSource("tiny", EmbedderGraph(net, mean=[0.5] * 3, std=[0.25] * 3), preprocess)


@pytest.fixture(scope="session")
def tiny_onnx(tiny_source):
    return tiny_source.to_onnx()


class Traced:
    """A source whose ONNX file is already made, so that each export takes seconds less."""

    def __init__(self, source, model):
        self.__dict__.update(source.__dict__)
        self.source, self.model, self.centres = source, model, False
        self.features, self.embed, self.layers = source.features, source.embed, source.layers

    def to_onnx(self, **_):
        return self.model


@pytest.fixture
def traced(tiny_source, tiny_onnx):
    return Traced(tiny_source, tiny_onnx)


@pytest.fixture
def spoil(onnx_of):
    """`spoil(model)` returns the same ONNX file with the weights of one layer shuffled."""
    from onnx import numpy_helper

    def shuffled(model, name="network.3/Conv"):
        proto = onnx_of(model)
        node = next(node for node in proto.graph.node if node.name == name)
        tensor = next(tensor for tensor in proto.graph.initializer if tensor.name == node.input[1])
        values = numpy_helper.to_array(tensor).copy()
        np.random.default_rng(0).shuffle(values)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
        return proto.SerializeToString()

    return shuffled


@pytest.fixture
def user_onnx(tmp_path):
    """Write an ONNX file as users have them: `make(layout=…, dtype=…, …)` returns its path."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    def make(
        *,
        layout="NCHW",
        dtype=TensorProto.FLOAT,
        channels=3,
        size=SIDE,
        batch="n",
        opset=18,
        end="flat",
        nodes=(),
        external=False,
        ir_version=8,
    ):
        rng = np.random.default_rng(0)
        weights = {"w": rng.standard_normal((8, channels, 3, 3)), "b": rng.standard_normal(8)}
        weights["fc"] = rng.standard_normal((8, 8))
        weights["classes"] = rng.standard_normal((8, 1000))
        sides = [batch, channels, size, size] if layout == "NCHW" else [batch, size, size, channels]
        steps, at = [], "x"
        if dtype != TensorProto.FLOAT:
            steps.append(helper.make_node("Cast", [at], ["float"], to=TensorProto.FLOAT))
            at = "float"
        if layout == "NHWC":
            steps.append(helper.make_node("Transpose", [at], ["planar"], perm=[0, 3, 1, 2]))
            at = "planar"
        steps += [
            helper.make_node("Conv", [at, "w", "b"], ["conv"], "stem", strides=[2, 2]),
            helper.make_node("Tanh", ["conv"], ["act"]),
        ]
        steps.append(helper.make_node("GlobalAveragePool", ["act"], ["pooled"]))
        ends = {
            "pooled": [helper.make_node("Identity", ["pooled"], ["y"])],
            "flat": [helper.make_node("Flatten", ["pooled"], ["y"])],
            "softmax": [
                helper.make_node("Flatten", ["pooled"], ["f"]),
                helper.make_node("Softmax", ["f"], ["y"], axis=1),
            ],
            "constant": [helper.make_node("Flatten", ["pooled"], ["f"]), helper.make_node("Sub", ["f", "f"], ["y"])],
            "gemm": [
                helper.make_node("Flatten", ["pooled"], ["f"]),
                helper.make_node("Gemm", ["f", "fc"], ["y"], "projection"),
            ],
            "map": [helper.make_node("Identity", ["act"], ["y"])],
            "tokens": [
                helper.make_node("Reshape", ["act", "places"], ["line"]),
                helper.make_node("Transpose", ["line"], ["y"], perm=[0, 2, 1]),
            ],
            "scores": [
                helper.make_node("Flatten", ["pooled"], ["f"]),
                helper.make_node("Gemm", ["f", "classes"], ["scores"], "classifier"),
                helper.make_node("Identity", ["scores"], ["y"]),
            ],
            "line": [helper.make_node("Reshape", ["pooled", "row"], ["y"])],
            "fixed": [helper.make_node("Reshape", ["pooled", "shape"], ["y"])],
            "topk": [
                helper.make_node("Flatten", ["pooled"], ["f"]),
                helper.make_node("TopK", ["f", "k"], ["y", "i"], "largest"),
            ],
        }
        steps += ends[end]
        tensors = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
        tensors.append(numpy_helper.from_array(np.array([1, 8], np.int64), "shape"))
        tensors.append(numpy_helper.from_array(np.array([8], np.int64), "k"))
        tensors.append(numpy_helper.from_array(np.array([0, 8, -1], np.int64), "places"))
        tensors.append(numpy_helper.from_array(np.array([1, -1], np.int64), "row"))
        outputs = [
            helper.make_tensor_value_info(
                "y",
                TensorProto.FLOAT,
                None if end in ("fixed", "map", "tokens", "scores") else [batch, 8] + [1, 1] * (end == "pooled"),
            )
        ]
        outputs += [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in nodes]
        used = {name for step in steps for name in step.input}
        tensors = [tensor for tensor in tensors if tensor.name in used]
        inputs = [helper.make_tensor_value_info("x", dtype, sides)]
        if ir_version < 4:  # weights were inputs
            inputs += [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in tensors]
        graph = helper.make_graph(steps, "user", inputs, outputs, tensors)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)
        path = tmp_path / "user.onnx"
        onnx.save(model, path, save_as_external_data=external, size_threshold=0)
        return path

    return make


@pytest.fixture
def onnx_of():
    """bytes -> ModelProto."""
    onnx = pytest.importorskip("onnx")
    return lambda data: onnx.load(io.BytesIO(data))


@pytest.fixture(scope="session")
def patterns(tiny):
    """24 frames for the network of tests/tiny_model.py, `uint8 [24, 32, 32, 3]`."""
    return tiny.bundle().preprocess.batch([tiny.pattern(i) for i in range(24)])


@pytest.fixture(scope="session")
def request_int8(patterns):
    """A request for all precisions, calibrated on the patterns."""
    from exporters import Pictures, Request

    pictures = Pictures(patterns, np.zeros(len(patterns), np.int64), ("",) * len(patterns), "patterns")
    return Request(precisions=("fp32", "fp16", "int8"), calibration=pictures)


@pytest.fixture(scope="session")
def cosines():
    """`cosines(model, other, frames)` returns the agreement of two ONNX files, row by row."""
    from exporters.onnx.session import embed_as_written
    from runtime.engines import agreement

    return lambda model, other, frames: agreement(embed_as_written(model, frames), embed_as_written(other, frames))

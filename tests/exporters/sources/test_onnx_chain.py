"""A line of ONNX nodes: each takes the result of the one before it."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper  # noqa: E402

from exporters.onnx.session import open_session  # noqa: E402
from exporters.onnx.tail import apply_metric  # noqa: E402
from exporters.sources.onnx_chain import OnnxChain  # noqa: E402


def test_a_chain_computes_its_steps_and_names_its_layers(tiny):
    chain = OnnxChain("tail", helper.make_tensor_value_info("raw", TensorProto.FLOAT, ["n", 4]))
    chain.then("Sub", np.ones(4, np.float32))
    chain.normalise()
    target = helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["n", 4])
    model = chain.model(target, like=tiny.model())
    assert [node.name for node in model.graph.node][:2] == ["edgefs/tail/Sub", "edgefs/tail/Mul"]
    values = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    got = open_session(model.SerializeToString()).run(None, {"raw": values})[0]
    np.testing.assert_allclose(got, apply_metric(values, "cosine", np.ones(4, np.float32)), rtol=1e-5)

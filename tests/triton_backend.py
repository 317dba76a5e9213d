"""Replaces Triton's backends `onnxruntime` and `openvino` by the same libraries, which open the same file.

`triton_server.py` copies it to where the server expects a backend of that name. TEST_PATH lists our library folders.
"""

import json
import os
import sys
from pathlib import Path

sys.path[:0] = json.loads(os.environ["TEST_PATH"])

import numpy as np  # noqa: E402
import triton_python_backend_utils as triton  # noqa: E402


class TritonPythonModel:
    def initialize(self, args):
        config = json.loads(args["model_config"])
        folder = Path(args["model_repository"], args["model_version"])
        if config["backend"] == "openvino":
            import openvino

            options = {key: value["string_value"] for key, value in config["parameters"].items()}
            model = openvino.Core().compile_model(folder / "model.xml", "CPU", options)
            self.run = lambda frames: model({"frames": frames})["embeddings"]
        else:
            import onnxruntime

            session = onnxruntime.InferenceSession(folder / "model.onnx")
            self.run = lambda frames: session.run(["embeddings"], {"frames": frames})[0]

    def execute(self, requests):
        """One call of the model for all requests that the server gathered, as the real backends do."""
        # by DLPack both ways, because the wheel's own array code was compiled against numpy 1
        parts = [np.from_dlpack(triton.get_input_tensor_by_name(request, "frames")) for request in requests]
        rows = np.split(self.run(np.concatenate(parts)), np.cumsum([len(part) for part in parts])[:-1])
        tensors = [triton.Tensor.from_dlpack("embeddings", np.ascontiguousarray(part)) for part in rows]
        return [triton.InferenceResponse([tensor]) for tensor in tensors]

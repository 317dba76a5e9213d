"""Runs inside MLServer (`.venv-mlserver`): a model.onnx by ONNX Runtime. Files beside it make it misbehave.

`nan` makes it return NaN, and `other.onnx` is run instead of model.onnx, as if someone had replaced the model.
"""

from pathlib import Path

import numpy as np
import onnxruntime
from mlserver import MLModel
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse


class OnnxRuntime(MLModel):
    async def load(self) -> bool:
        self._folder = Path(self.settings.parameters.uri)
        self._session = onnxruntime.InferenceSession(self._folder / "model.onnx")
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        other = self._folder / "other.onnx"
        session = onnxruntime.InferenceSession(other) if other.exists() else self._session
        (embeddings,) = session.run(None, {"frames": NumpyCodec.decode_input(payload.inputs[0])})
        if (self._folder / "nan").exists():
            embeddings[0] = np.nan
        output = NumpyCodec.encode_output("embeddings", embeddings)
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=[output])

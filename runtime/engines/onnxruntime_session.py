"""An ONNX Runtime session as an engine: what the CPU and the GPU engine have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import Artifact, Bundle
from runtime.engines.base import EngineInfo, check_inputs
from runtime.errors import EngineError


class SessionEngine:
    """Runs an artifact in one session of ONNX Runtime."""

    info: EngineInfo

    def __init__(self, ort: Any, bundle: Bundle, artifact: Artifact, options: Any, providers: Sequence[Any]) -> None:
        model = bundle.read(artifact.file)
        try:
            self._session: Any = ort.InferenceSession(model, options, providers=providers)
        except Exception as error:  # ONNX Runtime raises subclasses of RuntimeError, which differ between versions
            why = " ".join(str(error).split())
            raise EngineError(
                f"ONNX Runtime {ort.__version__} refuses {artifact.file} of {bundle.where}: {why}; try another engine"
            ) from error
        self._shape, self._dim = bundle.preprocess.shape, bundle.dim
        self._input = self._session.get_inputs()[0].name

    def embed(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Engine.embed`."""
        check_inputs(frames, self._shape)
        if not len(frames):
            return np.zeros((0, self._dim), np.float32)
        try:
            return self._session.run(None, {self._input: frames})[0]  # type: ignore[no-any-return]
        except Exception as error:  # AttributeError means that the session was closed
            raise EngineError(
                f"{self.info.name} cannot run {self.info.artifact}, or was closed: {error}; open it again"
            ) from error

    def close(self) -> None:
        """See `Engine.close`."""
        self._session = None

"""A candidate on trial: opened by the device's own engine, from a bundle as a device would get it, and measured."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporters.errors import ExportError
from exporters.sources.pictures import Pictures
from exporters.sources.source import Source
from exporters.targets.target import Candidate
from exporters.targets.typed_model import run_on_cpu
from exporters.verify.divergence import first_diverging_layer, first_diverging_module
from exporters.verify.gates import Latency, Measured, failed_gates, measure
from runtime.bundle import Artifact, Bundle
from runtime.engines import ENGINES, Engine, agreement
from runtime.errors import BundleError, EngineError

ENGINE_OF = {"onnx": "onnxruntime", "openvino": "openvino"}
CHUNK = 16
GOLDEN_FLOOR = {"fp32": 0.999, "fp16": 0.99, "int8": 1.0}
GOLDEN_SLACK = 0.1  # below what was measured here: other processors round, and even quantise, otherwise


@dataclass(eq=False)
class Outcome:
    """What became of a candidate; filled stage by stage.

    measured: None when it cannot run here.  failed: gates it did not pass, in words.  latency: where it was timed.
    """

    candidate: Candidate
    measured: Measured | None = None
    engine: Engine | None = None
    failed: tuple[str, ...] = ()
    diverges: str | None = None
    latency: Latency | None = None

    def close(self) -> None:
        """Free the engine; the figures stay."""
        if self.engine is not None:
            self.engine.close()
            self.engine = None


class Trial:
    """The material all candidates of one export are measured with."""

    def __init__(
        self, source: Source, model: bytes, pictures: Pictures, reference: NDArray[np.float32], *, threads: int = 2
    ) -> None:
        self.source, self.model, self.pictures, self.reference = source, model, pictures, reference
        self.threads = threads
        chosen = np.linspace(0, len(pictures) - 1, min(4, len(pictures))).astype(int)
        self.golden = pictures.frames[chosen], reference[chosen]

    def bundle(self, extra: Mapping[str, bytes], artifacts: tuple[Artifact, ...], **facts: object) -> Bundle:
        """A bundle of model.onnx and these files. Raises BundleError for whatever a device would refuse."""
        return Bundle.build(
            name=self.source.name,
            preprocess=self.source.preprocess,
            metric=self.source.metric,
            model=self.model,
            golden_frames=self.golden[0],
            golden_embeddings=self.golden[1],
            extra=extra,
            artifacts=artifacts,
            **{"description": "", **facts},  # type: ignore[arg-type]
        )

    def run(self, candidate: Candidate) -> Outcome:
        """Measure a candidate; the engine stays open, to be timed beside the others.

        A plan of TensorRT cannot run here: the ONNX file it was built from is measured instead, and nothing is timed.
        """
        if not candidate.file:
            return Outcome(candidate)
        engine, file = None, candidate.file
        try:
            if candidate.target in ENGINE_OF:
                engine = self._open(candidate)
                embeddings = np.concatenate([engine.embed(frames) for frames in self._chunks()])
            else:
                file = next((name for name in candidate.files if name.endswith(".onnx")), "model.onnx")
                embeddings = run_on_cpu(candidate.files.get(file, self.model), self.pictures.frames)
        except (BundleError, EngineError, ExportError) as error:
            return Outcome(candidate, failed=(str(error),))
        measured = measure(self.reference, embeddings, self.pictures.labels, self.source.metric)
        failed = tuple(failed_gates(candidate.precision, measured))
        outcome = Outcome(candidate, measured, engine, failed)
        if failed:
            outcome.diverges = self._diverges(candidate, file, embeddings)
        return outcome

    def _open(self, candidate: Candidate) -> Engine:
        """The device's engine without its golden check: a trial wants to see how far off it is, and where."""
        extra = {name: data for name, data in candidate.files.items() if name != "model.onnx"}
        artifact = Artifact(candidate.target, candidate.precision, candidate.file)
        module, name = ENGINES[ENGINE_OF[candidate.target]]
        opener = getattr(importlib.import_module(module), name)
        engine: Engine = opener(self.bundle(extra, (artifact,) if extra else ()), artifact, self.threads)
        return engine

    def _diverges(self, candidate: Candidate, file: str, embeddings: NDArray[np.float32]) -> str | None:
        """Look at the picture that came out worst."""
        worst = 0
        if embeddings.shape == self.reference.shape:
            worst = int(np.nan_to_num(agreement(embeddings, self.reference), nan=-1.0).argmin())
        frame = self.pictures.frames[worst : worst + 1]
        if file == "model.onnx":
            return first_diverging_module(self.model, self.source.layers(frame), frame)
        return first_diverging_layer(self.model, candidate.files, file, frame)

    def golden_floor(self, outcome: Outcome) -> float:
        """The cosine a device must reach on the golden frames: what the precision promises, or a bit less than here."""
        floor = GOLDEN_FLOOR[outcome.candidate.precision]
        measured = outcome.measured.min_cosine if outcome.measured else 0.0
        return floor if measured >= floor else round(max(GOLDEN_SLACK, measured - GOLDEN_SLACK), 3)

    def _chunks(self) -> list[NDArray[np.uint8]]:
        return [self.pictures.frames[i : i + CHUNK] for i in range(0, len(self.pictures), CHUNK)]

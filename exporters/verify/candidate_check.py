"""Check a candidate: open it with the device's own engine, from a bundle as a device would get it, and measure it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from exporters.errors import ExportError
from exporters.frames import evenly_spaced, in_batches
from exporters.onnx.session import embed_as_written
from exporters.sources.pictures import Pictures
from exporters.sources.source import Source
from exporters.targets.target import Candidate
from exporters.verify.divergence import first_diverging_layer, first_diverging_module
from exporters.verify.gates import Measured, failed_gates, measure
from exporters.verify.latency import Latency
from runtime.bundle import Artifact, Bundle
from runtime.engines import Engine, EngineSpec, agreement, cpu_engine
from runtime.errors import BundleError, EngineError

GOLDEN_FLOOR = {"fp32": 0.999, "fp16": 0.99, "int8": 1.0}
GOLDEN_SLACK = 0.1  # below what was measured here, because other processors round and quantise differently


@dataclass(eq=False)
class CheckResult:
    """What is known about a candidate.

    Attributes:
        candidate: The candidate.
        measured: None if it cannot run here.
        engine: The open engine, to be timed beside the others.
        failed: One sentence for every gate that it did not pass.
        diverges: The first layer that differs from the reference, if a gate failed.
        latency: None where it was not timed.
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

    def golden_floor(self) -> float:
        """Return the cosine that a device must reach on the golden frames.

        It is that of the precision, or a little less than what was measured here if that is lower.
        """
        floor = GOLDEN_FLOOR[self.candidate.precision]
        measured = self.measured.min_cosine if self.measured else 0.0
        return floor if measured >= floor else round(max(GOLDEN_SLACK, measured - GOLDEN_SLACK), 3)


class CandidateCheck:
    """Checks all candidates of one export on the same pictures.

    Args:
        source: The source.
        model: Its float32 ONNX file.
        pictures: What the candidates are measured on.
        threads: CPU threads of the engines.
    """

    def __init__(self, source: Source, model: bytes, pictures: Pictures, *, threads: int = 2) -> None:
        self.source, self.model, self.pictures, self.threads = source, model, pictures, threads
        self.reference = source.embed(pictures.frames)
        chosen = evenly_spaced(len(pictures), 4)
        self.golden = pictures.frames[chosen], self.reference[chosen]

    def bundle(self, extra: Mapping[str, bytes], artifacts: tuple[Artifact, ...], **facts: Any) -> Bundle:
        """Return a bundle of model.onnx and these files. Raises BundleError if a device would refuse it."""
        return Bundle.build(
            name=self.source.name,
            preprocess=self.source.preprocess,
            metric=self.source.metric,
            model=self.model,
            golden_frames=self.golden[0],
            golden_embeddings=self.golden[1],
            extra=extra,
            artifacts=artifacts,
            **{"description": "", **facts},
        )

    def run(self, candidate: Candidate) -> CheckResult:
        """Measure a candidate and leave its engine open.

        A TensorRT plan cannot run here: the ONNX file that it was built from is measured instead, and nothing is timed.
        """
        if not candidate.file:
            return CheckResult(candidate)
        engine, file = None, candidate.file
        try:
            if spec := cpu_engine(candidate.target):
                engine = self._open(spec, candidate)
                embeddings = in_batches(engine.embed, self.pictures.frames)
            else:
                file = next((name for name in candidate.files if name.endswith(".onnx")), "model.onnx")
                embeddings = embed_as_written(candidate.files.get(file, self.model), self.pictures.frames)
        except (BundleError, EngineError, ExportError) as error:
            return CheckResult(candidate, failed=(str(error),))
        if engine is not None and candidate.precision == "fp16" and engine.info.arithmetic == "f32":
            remarks = [candidate.reason, "its weights are float16, but it computed in float32 here"]
            candidate = replace(candidate, reason="; ".join(filter(None, remarks)))
        measured = measure(self.reference, embeddings, self.pictures.labels, self.source.metric)
        failed = tuple(failed_gates(candidate.precision, measured))
        result = CheckResult(candidate, measured, engine, failed)
        if failed:
            result.diverges = self._diverges(candidate, file, embeddings)
        return result

    def _open(self, spec: EngineSpec, candidate: Candidate) -> Engine:
        """Open the device's engine without its golden check, because how far a candidate differs is measured here."""
        extra = {name: data for name, data in candidate.files.items() if name != "model.onnx"}
        artifact = Artifact(candidate.target, candidate.precision, candidate.file)
        return spec.open(self.bundle(extra, (artifact,) if extra else ()), artifact, self.threads)

    def _diverges(self, candidate: Candidate, file: str, embeddings: NDArray[np.float32]) -> str | None:
        """Name the first layer that differs on the picture with the lowest cosine."""
        worst = 0
        if embeddings.shape == self.reference.shape:
            worst = int(np.nan_to_num(agreement(embeddings, self.reference), nan=-1.0).argmin())
        frame = self.pictures.frames[worst : worst + 1]
        if file == "model.onnx":
            return first_diverging_module(self.model, self.source.layers(frame), frame)
        return first_diverging_layer(self.model, candidate.files, file, frame)

"""Model repositories that servers load as they are: Triton (config.pbtxt) and OpenVINO Model Server (config.json).

Every artefact becomes a model of its own, NAME-TARGET-PRECISION, that takes `frames` (uint8 NHWC) and gives
`embeddings` (float32). What is there stays: an export of the same name becomes the next version, and servers switch to
it. The bundle's preprocessing contract lies beside each version, for clients.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from exporters.errors import ExportError
from runtime.bundle import Artifact, Bundle

QUEUE_US = 1000  # how long a request may wait for others to make a batch of
LATENCY = """parameters { key: "PERFORMANCE_HINT" value { string_value: "LATENCY" } }
parameters { key: "NUM_STREAMS" value { string_value: "1" } }
"""
# target -> Triton's backend, the file name it looks for, and where it runs
TRITON = {
    "onnx": ("onnxruntime", "model.onnx", "KIND_AUTO"),
    "openvino": ("openvino", "model.xml", "KIND_CPU"),
    "tensorrt": ("tensorrt", "model.plan", "KIND_GPU"),
}


def write_triton(bundle: Bundle, repository: Path, *, max_batch: int = 8) -> list[str]:
    """Add every artefact Triton can run; returns their model names.

    Serve with: tritonserver --model-repository=REPOSITORY.  Raises ExportError when the place cannot be written.
    """
    served = [
        artifact for artifact in bundle.artifacts if artifact.file.endswith(TRITON.get(artifact.target, ("", "?"))[1])
    ]
    for artifact in served:
        config = _triton_config(bundle, artifact, max_batch)
        _add(bundle, artifact, repository, TRITON[artifact.target][1], {"config.pbtxt": config})
    return [_model_name(bundle, artifact) for artifact in served]


def write_ovms(bundle: Bundle, repository: Path) -> list[str]:
    """Add the OpenVINO artefacts and list them in REPOSITORY/config.json; returns their model names.

    Serve with: ovms --config_path REPOSITORY/config.json.  Raises ExportError: no such artefact, or not writable.
    """
    served = [artifact for artifact in bundle.artifacts if artifact.target == "openvino"]
    if not served:
        raise ExportError("--ovms serves OpenVINO artefacts, but none was kept; export with --targets openvino")
    for artifact in served:
        _add(bundle, artifact, repository, "model.xml", {})
    _list_in_config(repository, {_model_name(bundle, artifact): artifact for artifact in served})
    return [_model_name(bundle, artifact) for artifact in served]


def _triton_config(bundle: Bundle, artifact: Artifact, max_batch: int) -> str:
    """Triton gathers single requests into batches, except for OpenVINO: its backend would demand full batches only."""
    backend, _, kind = TRITON[artifact.target]
    gathers = artifact.target != "openvino"
    any_batch = [] if gathers else [-1]
    batching = f"dynamic_batching {{ max_queue_delay_microseconds: {QUEUE_US} }}\n" if gathers else LATENCY
    return f"""name: "{_model_name(bundle, artifact)}"
backend: "{backend}"
max_batch_size: {max_batch if gathers else 0}
input [ {{ name: "frames" data_type: TYPE_UINT8 dims: {[*any_batch, *bundle.preprocess.shape]} }} ]
output [ {{ name: "embeddings" data_type: TYPE_FP32 dims: {[*any_batch, bundle.dim]} }} ]
{batching}instance_group [ {{ count: 1 kind: {kind} }} ]
version_policy: {{ latest {{ num_versions: 1 }} }}
"""


def _list_in_config(repository: Path, served: Mapping[str, Artifact]) -> None:
    """Paths are relative to config.json, so that the repository can be mounted anywhere."""
    path = repository / "config.json"
    try:
        entries = json.loads(path.read_text())["model_config_list"] if path.is_file() else []
        others = [entry for entry in entries if entry["config"]["name"] not in served]
    except (ValueError, KeyError, TypeError) as error:
        raise ExportError(f"{path} must be a config.json of OpenVINO Model Server, but is not; move it away") from error
    ours = [
        {
            "config": {
                "name": name,
                "base_path": name,
                "target_device": "CPU",
                "plugin_config": {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"},
                "model_version_policy": {"latest": {"num_versions": 1}},
            }
        }
        for name in served
    ]
    text = json.dumps({"model_config_list": [*others, *ours]}, indent=1) + "\n"
    _aside(path, lambda aside: aside.write_text(text))


def _model_name(bundle: Bundle, artifact: Artifact) -> str:
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", bundle.name).strip("-") or "embedder"
    return f"{plain}-{artifact.target}-{artifact.precision}"


def _add(bundle: Bundle, artifact: Artifact, repository: Path, file: str, beside: Mapping[str, str]) -> None:
    """Write the next version of a model, aside first; what stands beside the versions is replaced after it."""
    model = repository / _model_name(bundle, artifact)
    versions = [int(path.name) for path in model.glob("*") if path.is_dir() and path.name.isdecimal()]
    files = {file: bundle.read(artifact.file)}
    if file == "model.xml":
        files["model.bin"] = bundle.read(artifact.file.removesuffix(".xml") + ".bin")
    contract = {"preprocess": bundle.preprocess.to_json(), "metric": bundle.metric, "fingerprint": bundle.fingerprint}
    files["edgefs.json"] = json.dumps(contract, indent=1).encode()

    def write(aside: Path) -> None:
        aside.mkdir()
        for name, data in files.items():
            (aside / name).write_bytes(data)

    _aside(model / str(max(versions, default=0) + 1), write)
    for name, text in beside.items():
        _aside(model / name, lambda aside, text=text: aside.write_text(text))  # type: ignore[misc]


def _aside(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside and rename, so that a server watching the folder never sees half of it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".edgefs.", dir=path.parent) as folder:
            made = Path(folder) / "new"
            write(made)
            made.replace(path)
    except OSError as error:
        raise ExportError(
            f"{path} cannot be written: {error.strerror or error}; free some space or choose another place"
        ) from error

"""Write model repositories for Triton (config.pbtxt) and OpenVINO Model Server (config.json).

Every artifact becomes a model of its own, NAME-TARGET-PRECISION, with the input `frames` (uint8 NHWC) and the output
`embeddings` (float32). Existing models stay: an export of the same name becomes the next version, to which servers
switch. The bundle's preprocessing contract is stored beside each version, for clients.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from exporters.errors import ExportError
from runtime.bundle import Artifact, Bundle

QUEUE_US = 1000  # how long a request may wait for others to form a batch
LATENCY = """parameters { key: "PERFORMANCE_HINT" value { string_value: "LATENCY" } }
parameters { key: "NUM_STREAMS" value { string_value: "1" } }
"""
# target -> Triton's backend, the name of the file that it opens, and where it runs
TRITON = {
    "onnx": ("onnxruntime", "model.onnx", "KIND_AUTO"),
    "openvino": ("openvino", "model.xml", "KIND_CPU"),
    "tensorrt": ("tensorrt", "model.plan", "KIND_GPU"),
}
NOT_SERVED = (
    "Triton's TensorRT backend runs plans of tensorrt, not of tensorrt-rtx; add the target tensorrt on the server"
)
WARM_UP = "warmup/golden"  # a golden frame, with which a server runs each model once before it answers


def write_triton(bundle: Bundle, repository: Path, *, max_batch: int = 8) -> list[str]:
    """Add every artifact that Triton can run to a repository: `tritonserver --model-repository=REPOSITORY`.

    Args:
        bundle: The bundle.
        repository: The folder; it is created if needed.
        max_batch: The largest batch that Triton forms of single requests.

    Returns:
        The names of the models.

    Raises:
        ExportError: The repository cannot be written.
    """
    served = [artifact for artifact in bundle.artifacts if _is_served(artifact)]
    frame = bundle.golden()[0][0].tobytes()
    for artifact in served:
        config = _triton_config(bundle, artifact, max_batch)
        _add(
            bundle, artifact, repository, TRITON[artifact.target][1], {WARM_UP: frame, "config.pbtxt": config.encode()}
        )
    return [_model_name(bundle, artifact) for artifact in served]


def not_served(bundle: Bundle) -> dict[str, str]:
    """Return the artifacts that `write_triton` leaves out, with the reason."""
    left_out = (artifact for artifact in bundle.artifacts if not _is_served(artifact))
    return {f"{artifact.target} {artifact.precision}": NOT_SERVED for artifact in left_out}


def _is_served(artifact: Artifact) -> bool:
    return artifact.file.endswith(TRITON.get(artifact.target, ("", "?"))[1])


def write_ovms(bundle: Bundle, repository: Path) -> list[str]:
    """Add the OpenVINO artifacts of a bundle to a repository: `ovms --config_path REPOSITORY/config.json`.

    Returns:
        The names of the models.

    Raises:
        ExportError: The bundle has no OpenVINO artifact, or the repository cannot be written.
    """
    served = [artifact for artifact in bundle.artifacts if artifact.target == "openvino"]
    if not served:
        raise ExportError("--ovms serves OpenVINO artifacts, but none was kept; export with --targets openvino")
    for artifact in served:
        _add(bundle, artifact, repository, "model.xml", {})
    _list_in_config(repository, {_model_name(bundle, artifact): artifact for artifact in served})
    return [_model_name(bundle, artifact) for artifact in served]


def _triton_config(bundle: Bundle, artifact: Artifact, max_batch: int) -> str:
    """Return config.pbtxt. Triton forms batches of single requests, except for OpenVINO, which takes only full ones."""
    backend, _, kind = TRITON[artifact.target]
    gathers = artifact.target != "openvino"
    any_batch, one = ([], []) if gathers else ([-1], [1])
    frame = f'data_type: TYPE_UINT8 dims: {[*one, *bundle.preprocess.shape]} input_data_file: "{Path(WARM_UP).name}"'
    batching = f"dynamic_batching {{ max_queue_delay_microseconds: {QUEUE_US} }}\n" if gathers else LATENCY
    return f"""name: "{_model_name(bundle, artifact)}"
backend: "{backend}"
max_batch_size: {max_batch if gathers else 0}
input [ {{ name: "frames" data_type: TYPE_UINT8 dims: {[*any_batch, *bundle.preprocess.shape]} }} ]
output [ {{ name: "embeddings" data_type: TYPE_FP32 dims: {[*any_batch, bundle.dim]} }} ]
{batching}instance_group [ {{ count: 1 kind: {kind} }} ]
version_policy: {{ latest {{ num_versions: 1 }} }}
model_warmup [ {{ name: "golden" batch_size: 1 inputs {{ key: "frames" value {{ {frame} }} }} }} ]
"""


def _list_in_config(repository: Path, served: Mapping[str, Artifact]) -> None:
    """List models in config.json, with relative paths, so that the repository can be mounted anywhere."""
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
    _write_whole(path, lambda new: new.write_text(text))


def _model_name(bundle: Bundle, artifact: Artifact) -> str:
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", bundle.name).strip("-") or "embedder"
    return f"{plain}-{artifact.target}-{artifact.precision}"


def _add(bundle: Bundle, artifact: Artifact, repository: Path, file: str, beside: Mapping[str, bytes]) -> None:
    """Write the next version of a model, and then replace the files beside the versions."""
    model = repository / _model_name(bundle, artifact)
    versions = [int(path.name) for path in model.glob("*") if path.is_dir() and path.name.isdecimal()]
    files = {file: bundle.read(artifact.file)}
    if file == "model.xml":
        files["model.bin"] = bundle.read(artifact.file.removesuffix(".xml") + ".bin")
    contract = {"preprocess": bundle.preprocess.to_json(), "metric": bundle.metric, "fingerprint": bundle.fingerprint}
    files["edgefs.json"] = json.dumps(contract, indent=1).encode()

    def write(new: Path) -> None:
        new.mkdir()
        for name, data in files.items():
            (new / name).write_bytes(data)

    _write_whole(model / str(max(versions, default=0) + 1), write)
    for name, data in beside.items():
        _write_whole(model / name, lambda new, data=data: new.write_bytes(data))  # type: ignore[misc]


def _write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write to a temporary folder and rename, so that a server that watches the repository never sees half a file."""
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

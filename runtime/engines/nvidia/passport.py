"""The passport of a TensorRT plan: what it was built from, by which library, and where it may run.

A plan is executable code for one library version, GPU and operating system. Its passport, a small JSON file beside it,
is compared with this machine before the library reads the plan. Driver and JetPack release are only named if the
library refuses the plan: NVIDIA lets newer drivers run it, and a container need not know the release.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from runtime.bundle import Artifact, Bundle
from runtime.engines.nvidia.cuda import Cuda
from runtime.errors import BundleCorrupt, PlanMismatch

FORMAT = 1
KERNEL_MODULE = r"Module.*?\s(\d[\d.]+)"
# (major version that built, that runs): what NVIDIA lets through besides newer versions of the same one (11.4, 2026)
NEXT_MAJOR = ((10, 11),)
COMPATIBILITY = ("none", "ampere_plus", "same_compute_capability")


@dataclass(frozen=True)
class Machine:
    """The properties of a machine that a plan depends on.

    Attributes:
        library_version: Version of TensorRT.
        compute_capability: Of the GPU, such as "8.7".
        os: Operating system, such as "linux".
        arch: Processor architecture, such as "aarch64".
        driver: Version of the GPU driver; None if unknown.
        jetpack: Software release of a Jetson; None elsewhere.
    """

    library_version: str
    compute_capability: str
    os: str
    arch: str
    driver: str | None = None
    jetpack: str | None = None

    @staticmethod
    def this(library_version: str, cuda: Cuda) -> Machine:
        """Describe this machine."""
        return Machine(
            library_version,
            cuda.compute_capability(),
            platform.system().lower(),
            platform.machine().lower(),
            driver=f"{_first(KERNEL_MODULE, '/proc/driver/nvidia/version') or '?'} (CUDA {cuda.driver()})",
            jetpack=_l4t(),
        )


@dataclass(frozen=True)
class Passport:
    """What a plan was built from, and where it may run.

    Attributes:
        target: "tensorrt" or "tensorrt-rtx".
        precision: "fp32", "fp16" or "int8".
        plan_sha256: Digest of the plan.
        model_sha256: Digest of the bundle's model.onnx.
        onnx_sha256: Digest of the file the plan was built from. It differs from model.onnx for typed networks.
        shape: (H, W, C) of one input.
        batch: (smallest, optimal, largest) batch of the plan's profile.
        library_version: Version of the library that built the plan.
        compute_capabilities: The GPUs it was built for.
        compatibility: One of COMPATIBILITY; "ampere_plus" also admits every GPU from 8.0 on.
        version_compatible: Whether newer libraries may run it, as far as NVIDIA supports this.
        dla_core: The deep-learning accelerator it runs on; None for the GPU.
        os: The operating system it needs; None for any. The same holds for `arch`.
        driver: The driver it was built with; None if unknown. Another one may run it. The same holds for `jetpack`.
        flags: How it was built, for people.
        trtexec: The command that builds the same plan.
    """

    target: str
    precision: str
    plan_sha256: str
    model_sha256: str
    onnx_sha256: str
    shape: tuple[int, int, int]
    batch: tuple[int, int, int]
    library_version: str
    compute_capabilities: tuple[str, ...]
    compatibility: str = "none"
    version_compatible: bool = False
    dla_core: int | None = None
    os: str | None = None
    arch: str | None = None
    driver: str | None = None
    jetpack: str | None = None
    flags: tuple[str, ...] = ()
    trtexec: str = ""

    def to_json(self) -> bytes:
        """Return the contents of the JSON file."""
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1).encode()

    @staticmethod
    def from_json(data: bytes, name: str) -> Passport:
        """Read what `to_json` wrote. Raises BundleCorrupt for anything else."""
        try:
            values = json.loads(data)
            if values.pop("format") != FORMAT:
                raise ValueError("it has another format")
            lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
            passport = Passport(**{**values, **lists})
            if not passport._is_sound():
                raise ValueError("a value has the wrong type or range")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise BundleCorrupt(
                f"{name} must be a passport of format {FORMAT}, but is not ({error}); export the plan again"
            ) from error
        return passport

    def _is_sound(self) -> bool:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        optional = ("os", "arch", "driver", "jetpack")
        return (
            all(isinstance(values[f.name], str) for f in fields(self) if f.type == "str")
            and all(values[name] is None or isinstance(values[name], str) for name in optional)
            and [type(n) for n in (*self.shape, *self.batch)] == [int] * 6
            and 1 <= self.batch[0] <= self.batch[1] <= self.batch[2]
            and all(isinstance(text, str) for text in (*self.compute_capabilities, *self.flags))
            and type(self.version_compatible) is bool
            and type(self.dla_core) in (int, type(None))
            and self.compatibility in COMPATIBILITY
        )


def passport_name(plan: str) -> str:
    """Return the path of the passport that belongs to a plan."""
    return plan.removesuffix(".plan") + ".passport.json"


def read_passport(bundle: Bundle, artifact: Artifact) -> Passport:
    """Read the passport of an artifact. Raises BundleMissing or BundleCorrupt."""
    name = passport_name(artifact.file)
    return Passport.from_json(bundle.read(name), name)


def check_passport(passport: Passport, bundle: Bundle, artifact: Artifact, plan: bytes, here: Machine) -> None:
    """Raise PlanMismatch unless a plan may run here, with all reasons and the command that builds it again."""
    reasons = [*_bundle_mismatches(passport, bundle, artifact, plan), *_machine_mismatches(passport, here)]
    if reasons:
        raise PlanMismatch(
            f"{artifact.file} of {bundle.where} must have been built for this machine and model, but "
            f"{'; '.join(reasons)}. Build it again here: {rebuild_line(bundle, artifact)}"
        )


def differences(passport: Passport, here: Machine) -> str:
    """Return what differs since the plan was built without binding it, as the end of a sentence, or ""."""
    changed = [
        f"{name} {stated} and this is {found}"
        for name in ("driver", "jetpack")
        if (stated := getattr(passport, name)) not in (None, found := getattr(here, name))
    ]
    return f" (it was built with {', '.join(changed)})" if changed else ""


def rebuild_line(bundle: Bundle, artifact: Artifact) -> str:
    """Return the command that builds a plan for this machine."""
    where = bundle.path or Path(f"{bundle.name}.edgefs")
    precision = artifact.precision + (" --calibrate FOLDER" if artifact.precision == "int8" else "")
    return f"edgefs bundle add-plan {shlex.quote(str(where))} --target {artifact.target} --precision {precision}"


def _bundle_mismatches(passport: Passport, bundle: Bundle, artifact: Artifact, plan: bytes) -> Iterator[str]:
    model = bundle.manifest["files"]["model.onnx"]["sha256"]
    facts = [
        ("target", passport.target, artifact.target),
        ("precision", passport.precision, artifact.precision),
        ("plan's sha256", passport.plan_sha256, hashlib.sha256(plan).hexdigest()),
        ("model's sha256", passport.model_sha256, model),
        ("input", passport.shape, bundle.preprocess.shape),
    ]
    for name, stated, found in facts:
        if stated != found:
            yield f"its {name} is {found}, not {stated}"


def _machine_mismatches(passport: Passport, here: Machine) -> Iterator[str]:
    if not _version_fits(passport, here.library_version):
        yield f"it was built by {passport.target} {passport.library_version} and this is {here.library_version}"
    if not _gpu_fits(passport, here.compute_capability):
        built = ", ".join(passport.compute_capabilities)
        yield f"it was built for compute capability {built} and this GPU has {here.compute_capability}"
    for name in ("os", "arch"):
        stated, found = getattr(passport, name), getattr(here, name)
        if stated not in (None, found):
            yield f"it was built with {name} {stated} and this is {found}"


def _version_fits(passport: Passport, version: str) -> bool:
    if not passport.version_compatible:
        return passport.library_version == version
    built, here = (tuple(map(int, re.findall(r"\d+", text)[:3])) for text in (passport.library_version, version))
    majors = built[0], here[0]
    return built <= here and (built[0] == here[0] or majors in NEXT_MAJOR)


def _gpu_fits(passport: Passport, capability: str) -> bool:
    from_ampere = passport.compatibility == "ampere_plus" and int(capability.split(".")[0]) >= 8
    return capability in passport.compute_capabilities or from_ampere


def _l4t() -> str | None:
    """Return the software release of a Jetson, such as "R36.4.3" (JetPack 6.2); None elsewhere."""
    path = "/etc/nv_tegra_release"
    major, minor = _first(r"# (R\d+)", path), _first(r"REVISION: ([\d.]+)", path)
    return f"{major}.{minor}" if major and minor else None


def _first(pattern: str, path: str) -> str | None:
    try:
        found = re.search(pattern, Path(path).read_text())
    except OSError:
        return None
    return found.group(1) if found else None

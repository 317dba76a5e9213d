"""The passport of a TensorRT plan: what it was built from, by what, and where it may run.

A plan is an executable artefact, bound to a library version, a GPU, an operating system. Its passport, a small JSON
file beside it, is compared with this machine *before* a single byte of the plan is handed to the library.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from runtime.bundle import Artifact, Bundle
from runtime.engines.cuda import Cuda
from runtime.errors import BundleCorrupt, PlanMismatch

FORMAT = 1
KERNEL_MODULE = r"Module.*?\s(\d[\d.]+)"
COMPATIBILITY = ("none", "ampere_plus", "same_compute_capability")


@dataclass(frozen=True)
class Machine:
    """What a plan is bound to.

    library_version: of TensorRT.  compute_capability: "8.7".  os: "linux".  arch: "aarch64".
    driver, jetpack: None when there is none.
    """

    library_version: str
    compute_capability: str
    os: str
    arch: str
    driver: str | None = None
    jetpack: str | None = None

    @staticmethod
    def this(library_version: str, cuda: Cuda) -> Machine:
        """Look at this machine."""
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
    """target: "tensorrt" or "tensorrt-rtx".  shape: (H, W, C) of one input.  batch: the profile's (min, opt, max).

    plan_sha256: of the plan.  model_sha256: of the bundle's model.onnx.
    onnx_sha256: of the file the plan was built from, another one where the types had to be written out.
    compute_capabilities: it runs on.  compatibility: of COMPATIBILITY; "ampere_plus" also admits every GPU from 8.0.
    version_compatible: newer libraries of the same major version may run it.
    os, arch, driver, jetpack: None where it is not bound to one.  flags: how it was built, for people.
    trtexec: the line that builds the same.
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
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=1).encode()

    @staticmethod
    def from_json(data: bytes, name: str) -> Passport:
        """Raises BundleCorrupt on anything `to_json` would not write."""
        try:
            values = json.loads(data)
            if values.pop("format") != FORMAT:
                raise ValueError("its format is another")
            lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
            passport = Passport(**{**values, **lists})
            if not passport._is_sound():
                raise ValueError("a value is of another kind")
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise BundleCorrupt(
                f"{name} must be a passport of format {FORMAT}, but is not ({error}); export the plan again"
            ) from error
        return passport

    def _is_sound(self) -> bool:
        words = {f.name: getattr(self, f.name) for f in fields(self)}
        optional = ("os", "arch", "driver", "jetpack")
        return (
            all(isinstance(words[f.name], str) for f in fields(self) if f.type == "str")
            and all(words[name] is None or isinstance(words[name], str) for name in optional)
            and [type(n) for n in (*self.shape, *self.batch)] == [int] * 6
            and 1 <= self.batch[0] <= self.batch[1] <= self.batch[2]
            and all(isinstance(word, str) for word in (*self.compute_capabilities, *self.flags))
            and type(self.version_compatible) is bool
            and type(self.dla_core) in (int, type(None))
            and self.compatibility in COMPATIBILITY
        )


def passport_name(plan: str) -> str:
    """Where the passport of a plan lies."""
    return plan.removesuffix(".plan") + ".passport.json"


def read_passport(bundle: Bundle, artifact: Artifact) -> Passport:
    """The passport of an artefact. Raises BundleMissing or BundleCorrupt."""
    name = passport_name(artifact.file)
    return Passport.from_json(bundle.read(name), name)


def check_passport(passport: Passport, bundle: Bundle, artifact: Artifact, plan: bytes, here: Machine) -> None:
    """Raise PlanMismatch, with every reason and the line that builds the plan again, unless it may run here."""
    reasons = [*_of_the_bundle(passport, bundle, artifact, plan), *_of_the_machine(passport, here)]
    if reasons:
        raise PlanMismatch(
            f"{artifact.file} of {bundle.where} must have been built for this machine and model, but "
            f"{'; '.join(reasons)}. Build it again here: {rebuild_line(bundle, artifact)}"
        )


def rebuild_line(bundle: Bundle, artifact: Artifact) -> str:
    """The command that makes a plan for this machine."""
    model = (bundle.path or Path(f"{bundle.name}.edgefs")) / "model.onnx"
    precision = artifact.precision + (" --calibrate FOLDER" if artifact.precision == "int8" else "")
    return f"edgefs export --onnx {model} --targets {artifact.target} --precisions {precision} --out NEW.edgefs"


def _of_the_bundle(passport: Passport, bundle: Bundle, artifact: Artifact, plan: bytes) -> Iterator[str]:
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


def _of_the_machine(passport: Passport, here: Machine) -> Iterator[str]:
    if not _version_fits(passport, here.library_version):
        yield f"it was built by {passport.target} {passport.library_version} and this is {here.library_version}"
    if not _gpu_fits(passport, here.compute_capability):
        built = ", ".join(passport.compute_capabilities)
        yield f"it was built for compute capability {built} and this GPU has {here.compute_capability}"
    for name in ("os", "arch", "driver", "jetpack"):
        stated, found = getattr(passport, name), getattr(here, name)
        if stated not in (None, found):
            yield f"it was built with {name} {stated} and this is {found}"


def _version_fits(passport: Passport, version: str) -> bool:
    if not passport.version_compatible:
        return passport.library_version == version
    built, here = (tuple(map(int, re.findall(r"\d+", text)[:3])) for text in (passport.library_version, version))
    return built[:1] == here[:1] and built <= here


def _gpu_fits(passport: Passport, capability: str) -> bool:
    from_ampere = passport.compatibility == "ampere_plus" and int(capability.split(".")[0]) >= 8
    return capability in passport.compute_capabilities or from_ampere


def _l4t() -> str | None:
    """The Jetson's software release, as "R36.4.3" (JetPack 6.2); None elsewhere."""
    path = "/etc/nv_tegra_release"
    major, minor = _first(r"# (R\d+)", path), _first(r"REVISION: ([\d.]+)", path)
    return f"{major}.{minor}" if major and minor else None


def _first(pattern: str, path: str) -> str | None:
    try:
        found = re.search(pattern, Path(path).read_text())
    except OSError:
        return None
    return found.group(1) if found else None

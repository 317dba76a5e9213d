"""TensorRT's real Python API without TensorRT: its own bindings on stub libraries, behind a proxy that only checks.

With the wheel `tensorrt_cu1x_bindings` and three stub libraries the module can be imported: every class, enum and
signature is NVIDIA's, but nothing can be built. `Conforming(module,
answers)` replaces that module: each attribute must exist, each call must fit the signature in pybind's docstring, and
each argument its type. The result comes from `answers` or follows from the return type. Nothing of it is committed.
"""

from __future__ import annotations

import inspect
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

WHEELS = {
    "10.3.0": "tensorrt_cu12_bindings",
    "10.16.1.11": "tensorrt_cu12_bindings",
    "11.4.0.106": "tensorrt_cu13_bindings",
}
LIBRARIES = ("nvinfer", "nvinfer_plugin", "nvonnxparser")
SYMBOLS = (
    "createInferBuilder_INTERNAL",
    "createInferRefitter_INTERNAL",
    "createInferRuntime_INTERNAL",
    "getBuilderPluginRegistry",
    "getPluginRegistry",
    "initLibNvInferPlugins",
    "createNvOnnxParser_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL",
    "getNvOnnxParserVersion",
)


class ApiError(AssertionError):
    """A use of the API that this version of TensorRT does not have."""


def build_stubs(folder: Path, version: str, timeout_s: float) -> None:
    """Compile stub libraries of a version into a folder. Raises OSError without gcc, or SubprocessError."""
    major = version.split(".")[0]
    source = folder / "stub.c"
    source.write_text("".join(f"void *{symbol}() {{ return 0; }}\n" for symbol in SYMBOLS))
    for name in LIBRARIES:
        file = f"lib{name}.so.{major}"
        link = ["gcc", "-shared", "-fPIC", "-w", f"-Wl,-soname,{file}", "-o", str(folder / file), str(source)]
        subprocess.run(link, check=True, capture_output=True, timeout=timeout_s)


class Conforming:
    """A module of the real API, or a class of it.  answers: "Class.member" -> value, or a function of the arguments."""

    def __init__(self, module: Any, answers: Mapping[str, Any], used: set[str] | None = None) -> None:
        self._module, self._answers = module, answers
        self.used: set[str] = set() if used is None else used

    def __getattr__(self, name: str) -> Any:
        if not hasattr(self._module, name):
            raise ApiError(f"TensorRT {self._module.__version__} has no {name}")
        value = getattr(self._module, name)
        self.used.add(name)
        subclassed = name in ("ILogger", "IProgressMonitor")
        if not inspect.isclass(value) or subclassed or hasattr(value, "__members__"):
            return value
        return lambda *args, **kwargs: self.construct(value, args, kwargs)

    def construct(self, cls: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        self.check(f"{cls.__name__}.__init__", cls.__init__.__doc__ or "", (Instance(self, cls), *args), kwargs)
        failure = self._answers.get(cls.__name__)
        if failure is not None:
            raise failure
        return Instance(self, cls)

    def check(self, what: str, doc: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
        """Hold a call against its signatures; return the annotated result. Raises ApiError."""
        complaints = []
        for parameters, result in signatures(doc):
            try:
                self._bind(parameters, args, kwargs)
                return result
            except TypeError as error:
                complaints.append(str(error))
        raise ApiError(
            f"TensorRT {self._module.__version__}: {what}{args[1:]} {kwargs}: {'; '.join(complaints) or doc}"
        )

    def _bind(self, parameters: list[tuple[str, str, bool]], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        names = [name for name, _, _ in parameters]
        if len(args) > len(names):
            raise TypeError(f"takes {len(names)} arguments, got {len(args)}")
        given = dict(zip(names, args, strict=False))
        for name, value in kwargs.items():
            if name not in names or name in given:
                raise TypeError(f"has no free parameter {name}")
            given[name] = value
        for name, kind, optional in parameters:
            if name not in given:
                if not optional:
                    raise TypeError(f"needs {name}")
            elif not self.fits(given[name], kind):
                raise TypeError(f"{name} must be {kind}, got {given[name]!r}")

    def fits(self, value: Any, kind: str) -> bool:
        plain: dict[str, Callable[[Any], bool]] = {
            "int": lambda v: isinstance(v, int) and not isinstance(v, bool),
            "bool": lambda v: isinstance(v, bool),
            "str": lambda v: isinstance(v, str),
            "tuple": lambda v: isinstance(v, tuple),
            "Buffer": lambda v: isinstance(v, (bytes, bytearray, memoryview)),
            "Dims": lambda v: isinstance(v, (tuple, list)) and all(type(n) is int for n in v),
        }
        short = {"SupportsInt": "int", "buffer": "Buffer"}.get(last(kind), last(kind))
        if short in plain:
            return plain[short](value)
        cls = self.resolve(kind)
        return issubclass(value._cls, cls) if isinstance(value, Instance) else isinstance(value, cls)

    def resolve(self, kind: str) -> Any:
        """The class of an annotation; pybind writes C++ names where it did not know the Python one."""
        for name in (last(kind), last(kind).removeprefix("I")):
            if inspect.isclass(getattr(self._module, name, None)):
                return getattr(self._module, name)
        raise TypeError(f"unknown type {kind}")

    def answer(self, what: str, result: str, args: tuple[Any, ...]) -> Any:
        if what in self._answers:
            value = self._answers[what]
            return value(*args) if callable(value) else value
        simple = {"None": None, "bool": True, "int": 0, "str": ""}
        return simple[last(result)] if last(result) in simple else Instance(self, self.resolve(result))


class Instance:
    """An object of a real class that answers without doing anything."""

    def __init__(self, api: Conforming, cls: Any) -> None:
        object.__setattr__(self, "_api", api)
        object.__setattr__(self, "_cls", cls)

    def __getattr__(self, name: str) -> Any:
        api, cls = self._api, self._cls
        member = inspect.getattr_static(cls, name, None)
        what = f"{cls.__name__}.{name}"
        if member is None:
            raise ApiError(f"TensorRT {api._module.__version__} has no {what}")
        api.used.add(what)
        if isinstance(member, property):
            return api.answer(what, signatures(member.fget.__doc__ or "")[0][1], ())
        doc = getattr(cls, name).__doc__ or ""

        def call(*args: Any, **kwargs: Any) -> Any:
            result = api.check(what, doc, (self, *args), kwargs)
            return api.answer(what, result, args)

        return call

    def __setattr__(self, name: str, value: Any) -> None:
        member = inspect.getattr_static(self._cls, name, None)
        if not isinstance(member, property) or member.fset is None:
            raise ApiError(f"TensorRT {self._api._module.__version__} has no settable {self._cls.__name__}.{name}")
        self._api.used.add(f"{self._cls.__name__}.{name}")
        self._api.check(f"{self._cls.__name__}.{name} =", member.fset.__doc__ or "", (self, value), {})

    def __bytes__(self) -> bytes:
        if self._cls.__name__ != "IHostMemory":  # the one class with a buffer
            raise ApiError(f"{self._cls.__name__} has no bytes")
        return b"a plan"


def check_overrides(base: Any) -> None:
    """Every method of a class that C++ calls back must be overridden, with its very parameters. Raises ApiError."""
    methods = {name: signatures(getattr(base, name).__doc__ or "") for name in vars(base) if not name.startswith("_")}
    theirs = {name: found[0][0] for name, found in methods.items() if found}
    for cls in base.__subclasses__():
        if cls.__module__.split(".")[0] not in ("exporters", "runtime"):
            continue
        for name, parameters in theirs.items():
            wanted = [parameter for parameter, _, _ in parameters]
            got = list(inspect.signature(vars(cls).get(name, lambda: None)).parameters)
            if got != wanted:
                raise ApiError(f"{cls.__qualname__}.{name} must take {wanted}, but takes {got}")


def signatures(doc: str) -> list[tuple[list[tuple[str, str, bool]], str]]:
    """Parse pybind's docstring: for each overload the parameters (name, type, optional) and the result's type."""
    lines = [line for line in doc.splitlines() if re.match(r"(\d+\. )?\w*\(.*\) -> ", line)]
    lines = [line for line in lines if "*args" not in line]
    found = []
    for line in lines:
        inner, result = re.fullmatch(r"(?:\d+\. )?\w*\((.*)\) -> (.*)", line.strip()).groups()  # type: ignore[union-attr]
        found.append(([_parameter(part) for part in _split(inner)], result))
    return found


def _parameter(text: str) -> tuple[str, str, bool]:
    name, _, rest = text.partition(":")
    kind, _, default = rest.partition("=")
    return name.strip(), kind.strip(), bool(default)


def _split(text: str) -> list[str]:
    """At the commas that are outside every bracket."""
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([{<") - (character in ")]}>")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part for part in parts if part.strip()]


def last(name: str) -> str:
    """`tensorrt_bindings.tensorrt.Dims` and `nvinfer1::Dims` -> `Dims`."""
    return re.split(r"::|\.", name)[-1]

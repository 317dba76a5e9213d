"""The part of edgefs that runs on the device: engines, prototypes, gallery and cameras. It needs only numpy at import.

Names are imported when they are first used, so that a command that does not need them starts quickly.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.bundle import Artifact, Bundle
    from runtime.engines import Engine, EngineInfo, open_engine
    from runtime.models import default_bundle
    from runtime.preprocess import Preprocess
    from runtime.recognition import AcceptedFrame, Enrollment, NearestShot, Recognition, RejectedFrame
    from runtime.recognizer import Recognizer

__all__ = [
    "AcceptedFrame",
    "Artifact",
    "Bundle",
    "Engine",
    "EngineInfo",
    "Enrollment",
    "NearestShot",
    "Preprocess",
    "Recognition",
    "Recognizer",
    "RejectedFrame",
    "default_bundle",
    "open_engine",
]

_HOMES = {
    "AcceptedFrame": "runtime.recognition",
    "Artifact": "runtime.bundle",
    "Bundle": "runtime.bundle",
    "Engine": "runtime.engines",
    "EngineInfo": "runtime.engines",
    "Enrollment": "runtime.recognition",
    "NearestShot": "runtime.recognition",
    "Preprocess": "runtime.preprocess",
    "Recognition": "runtime.recognition",
    "Recognizer": "runtime.recognizer",
    "RejectedFrame": "runtime.recognition",
    "default_bundle": "runtime.models",
    "open_engine": "runtime.engines",
}

if not TYPE_CHECKING:  # else type checkers would accept any misspelt name

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'runtime' has no attribute {name!r}")
        return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)

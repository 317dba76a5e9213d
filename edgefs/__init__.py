"""edgefs: show it, name it, and it is recognised, on the device, without training.

The public names. Each is imported when it is first used, so that importing `edgefs` loads neither torch nor an engine.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgefs.evaluation.evaluate import evaluate
    from edgefs.exporting import export
    from edgefs.models.store import open_model
    from edgefs.training.loop import train
    from edgefs.transfer.adapt import adapt
    from edgefs.transfer.finetune import finetune
    from runtime.bundle import Bundle
    from runtime.camera import open_camera
    from runtime.errors import EdgefsError
    from runtime.models import default_bundle
    from runtime.opencv import read_image
    from runtime.recognition import Enrollment, Recognition
    from runtime.recognizer import Recognizer
    from runtime.stream.recent_answers import Ring
    from runtime.stream.smoothing import Smoother
    from runtime.stream.strangers import Inbox
    from runtime.stream.watch import watch
    from runtime.teaching.coach import Coach

__version__ = "0.1.0"
__all__ = [
    "Bundle",
    "Coach",
    "EdgefsError",
    "Enrollment",
    "Inbox",
    "Recognition",
    "Recognizer",
    "Ring",
    "Smoother",
    "adapt",
    "default_bundle",
    "evaluate",
    "export",
    "finetune",
    "open_camera",
    "open_model",
    "read_image",
    "train",
    "watch",
]

_HOMES = {
    "Bundle": "runtime.bundle",
    "Coach": "runtime.teaching.coach",
    "EdgefsError": "runtime.errors",
    "Enrollment": "runtime.recognition",
    "Inbox": "runtime.stream.strangers",
    "Recognition": "runtime.recognition",
    "Recognizer": "runtime.recognizer",
    "Ring": "runtime.stream.recent_answers",
    "Smoother": "runtime.stream.smoothing",
    "adapt": "edgefs.transfer.adapt",
    "default_bundle": "runtime.models",
    "evaluate": "edgefs.evaluation.evaluate",
    "export": "edgefs.exporting",
    "finetune": "edgefs.transfer.finetune",
    "open_camera": "runtime.camera",
    "open_model": "edgefs.models.store",
    "read_image": "runtime.opencv",
    "train": "edgefs.training.loop",
    "watch": "runtime.stream.watch",
}

if not TYPE_CHECKING:  # else type checkers would accept any misspelt name

    def __getattr__(name: str) -> object:
        if name not in _HOMES:
            raise AttributeError(f"module 'edgefs' has no attribute {name!r}")
        try:
            return getattr(importlib.import_module(_HOMES[name]), name)
        except ModuleNotFoundError as error:
            from edgefs.errors import package_missing

            raise package_missing(error) from error


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])

"""edgefs on the device: engines, prototypes, gallery, cameras. numpy only at import, the rest when it is used."""

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

"""Errors of training and evaluation. They derive from EdgefsError, so one `except` catches these and the device's.

TrainError (RuntimeError)
├── ConfigError (ValueError)          an option, a recipe or an episode shape that cannot work
├── DataError (ValueError)            the images cannot be trained on as they are
│   ├── DataMissing (FileNotFoundError)   the images are not there; the message shows the expected folders
│   └── DataCorrupt                   unreadable files, all of them named
├── CheckpointError (ValueError)      damaged, of a newer format, or of another network
│   └── CheckpointMissing (FileNotFoundError)
├── PackageMissing (ImportError)      the message has the install line
├── NotFinite (ArithmeticError)       the loss became NaN or infinite; the message names the episode and the checkpoint
├── StoreLost                         the store that pictures are read from does not answer
└── WorkerLost (RuntimeError)         another process of the job ended; the checkpoint is whole

BenchError (ValueError)               nothing to measure, or two results that cannot be compared
"""

from runtime.errors import EdgefsError

APP = ("starlette", "uvicorn", "websockets", "h11", "msgspec", "anyio", "prometheus_client", "paho", "python_multipart")


class TrainError(EdgefsError, RuntimeError): ...


class ConfigError(TrainError, ValueError): ...


class DataError(TrainError, ValueError): ...


class DataMissing(DataError, FileNotFoundError): ...


class DataCorrupt(DataError): ...


class CheckpointError(TrainError, ValueError): ...


class CheckpointMissing(CheckpointError, FileNotFoundError): ...


class PackageMissing(TrainError, ImportError): ...


def package_missing(error: ModuleNotFoundError) -> PackageMissing:
    """The error for a library that is not installed, with the line that installs its extra."""
    name = (error.name or "").partition(".")[0]
    extra = "app" if name in APP else "bulk" if name == "pyarrow" else "train,export"
    return PackageMissing(f"this needs {error.name}, which is not installed. Do: pip install 'edgefs[{extra}]'")


class NotFinite(TrainError, ArithmeticError): ...


class StoreLost(TrainError): ...


class WorkerLost(TrainError): ...


class BenchError(EdgefsError, ValueError): ...

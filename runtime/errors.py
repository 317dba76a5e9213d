"""All errors of this package. Each message says what must hold, what was found and what to do.

EdgefsError
├── BundleError (ValueError)          the bundle cannot be used as it is
│   ├── BundleMissing (FileNotFoundError)
│   ├── BundleCorrupt                 a digest, a size, a number or a golden frame is wrong
│   └── BundleUnsupported             newer format, forbidden operator, external data
├── EngineError (RuntimeError)        an engine refused the model or computes wrong embeddings
│   ├── PlanMismatch                  a TensorRT plan was built for another machine or version
│   └── EngineMissing (ImportError)   the library is not installed; the message has the install line
├── OpenCVMissing (ImportError)       cv2 is not installed; the message has the install line
├── FleetMissing (ImportError)        psycopg is not installed; the message has the install line
├── FrameError (ValueError)           not a uint8 HWC BGR or HW grey picture
├── OptionError (ValueError)          a setting outside its range
├── Untrusted (ValueError)            no trusted key has signed a bundle or an archive
├── GalleryError (RuntimeError)
│   ├── GalleryMissing (FileNotFoundError)
│   ├── UnknownLabel (LookupError)    no class has this label
│   ├── InvalidLabel (ValueError)     empty, too long, reserved, taken, or with control characters
│   ├── InvalidShot (ValueError)      not finite, wrong size, or no such id
│   ├── GalleryMismatch (ValueError)  another model filled it; embed it again
│   ├── GalleryCorrupt (ValueError)   not a gallery, or damaged
│   ├── GalleryUnwritable (OSError)   read-only, full, or locked
│   ├── SiteUnavailable (ConnectionError)   the database of a site does not answer, or is no site
│   ├── NothingToUndo (LookupError)
│   └── StaleOperation (ValueError)   an undo or redo that means another change than the next one
└── CameraError (OSError)
    ├── CameraMissing (FileNotFoundError)   absent, refused, or not a video
    └── VideoTruncated (EOFError)     a file ended before the length it announces
"""


class EdgefsError(Exception):
    """Base of every error this project raises on purpose."""


class BundleError(EdgefsError, ValueError): ...


class BundleMissing(BundleError, FileNotFoundError): ...


class BundleCorrupt(BundleError): ...


class BundleUnsupported(BundleError): ...


class EngineError(EdgefsError, RuntimeError): ...


class PlanMismatch(EngineError): ...


class EngineMissing(EngineError, ImportError): ...


class OpenCVMissing(EdgefsError, ImportError): ...


class FleetMissing(EdgefsError, ImportError): ...


class FrameError(EdgefsError, ValueError): ...


class OptionError(EdgefsError, ValueError): ...


class Untrusted(EdgefsError, ValueError): ...


class GalleryError(EdgefsError, RuntimeError): ...


class GalleryMissing(GalleryError, FileNotFoundError): ...


class UnknownLabel(GalleryError, LookupError): ...


class InvalidLabel(GalleryError, ValueError): ...


class InvalidShot(GalleryError, ValueError): ...


class GalleryMismatch(GalleryError, ValueError): ...


class GalleryCorrupt(GalleryError, ValueError): ...


class GalleryUnwritable(GalleryError, OSError): ...


class SiteUnavailable(GalleryError, ConnectionError): ...


class NothingToUndo(GalleryError, LookupError): ...


class StaleOperation(GalleryError, ValueError): ...


class CameraError(EdgefsError, OSError): ...


class CameraMissing(CameraError, FileNotFoundError): ...


class VideoTruncated(CameraError, EOFError): ...

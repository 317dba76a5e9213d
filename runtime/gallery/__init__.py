"""The gallery: what the device was shown. Shots are the source of truth, prototypes are derived from them.

`open_gallery` opens or creates one, `peek` looks without touching, `export_gallery` and `import_gallery` carry one
in a single file.
"""

from runtime.gallery.archive import ImportSummary, export_gallery, import_gallery
from runtime.gallery.base import ClassShots, Damaged, Gallery, GalleryInfo, NewShot, Operation, ShotRecord
from runtime.gallery.labels import clean_label
from runtime.gallery.opening import open_gallery, peek
from runtime.gallery.sqlite import SqliteGallery

__all__ = [
    "ClassShots",
    "Damaged",
    "Gallery",
    "GalleryInfo",
    "ImportSummary",
    "NewShot",
    "Operation",
    "ShotRecord",
    "SqliteGallery",
    "clean_label",
    "export_gallery",
    "import_gallery",
    "open_gallery",
    "peek",
]

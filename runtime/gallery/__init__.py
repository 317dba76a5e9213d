"""The gallery stores the shots of every class. Prototypes are derived from the shots.

`open_gallery` opens or creates a gallery, `peek` summarises one without changing it, and `export_gallery` and
`import_gallery` move shots between devices in a single file.
"""

from runtime.gallery.archive import ImportSummary, export_gallery, import_gallery
from runtime.gallery.base import (
    ClassShots,
    Damaged,
    Gallery,
    GalleryInfo,
    NewShot,
    Operation,
    Repair,
    ShotRecord,
    State,
)
from runtime.gallery.labels import check_labels, clean_label, label_problems, similar_label
from runtime.gallery.opening import open_gallery, peek
from runtime.gallery.recovery.backup import restore_gallery
from runtime.gallery.retention import UNDO_MINUTES, Purged
from runtime.gallery.sqlite import SqliteGallery

__all__ = [
    "UNDO_MINUTES",
    "ClassShots",
    "Damaged",
    "Gallery",
    "GalleryInfo",
    "ImportSummary",
    "NewShot",
    "Operation",
    "Purged",
    "Repair",
    "ShotRecord",
    "SqliteGallery",
    "State",
    "check_labels",
    "clean_label",
    "export_gallery",
    "import_gallery",
    "label_problems",
    "open_gallery",
    "peek",
    "restore_gallery",
    "similar_label",
]

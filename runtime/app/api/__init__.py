"""The REST API, one subject a file; `ROUTES` is all of it, in the order of the document."""

from runtime.app.api import answers, cameras, classes, events, gallery, inbox, system
from runtime.app.routes import Route

ROUTES: tuple[Route, ...] = (
    *system.ROUTES,
    *cameras.ROUTES,
    *classes.ROUTES,
    *answers.ROUTES,
    *inbox.ROUTES,
    *gallery.ROUTES,
    *events.ROUTES,
)

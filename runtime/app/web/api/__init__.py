"""The REST API, one subject in each file. `ROUTES` lists every route in the order of the document."""

from runtime.app.web.api import (
    actions,
    answers,
    cameras,
    classes,
    events,
    gallery,
    shots,
    site,
    sources,
    strangers,
    system,
    visits,
)
from runtime.app.web.routes import Route

ROUTES: tuple[Route, ...] = (
    *system.ROUTES,
    *cameras.ROUTES,
    *sources.ROUTES,
    *classes.ROUTES,
    *shots.ROUTES,
    *answers.ROUTES,
    *strangers.ROUTES,
    *gallery.ROUTES,
    *site.ROUTES,
    *actions.ROUTES,
    *visits.ROUTES,
    *events.ROUTES,
)

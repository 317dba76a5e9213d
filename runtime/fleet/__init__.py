"""One gallery for the devices of a site: PostgreSQL has its events, and each device a copy that works without network.

`open_fleet` opens the copy of this device. What an event does is in `runtime/fleet/fold.py`.
"""

from runtime.fleet.events import Event, EventKey
from runtime.fleet.fold import Conflict
from runtime.fleet.gallery import FleetGallery
from runtime.fleet.opening import open_fleet
from runtime.fleet.reading import FleetStatus

__all__ = ["Conflict", "Event", "EventKey", "FleetGallery", "FleetStatus", "open_fleet"]

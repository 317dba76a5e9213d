"""One gallery for the devices of a site: PostgreSQL has its events, and each device a copy that works without network.

`runtime.fleet.opening.open_fleet` opens the copy of this device. What events do is in `runtime/fleet/fold.py`.
"""

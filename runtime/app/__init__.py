"""The live app: cameras are recognised and taught through a page, a REST API, a window, JSON lines or MQTT.

`core` has no network in it, `web` is the page and the API, `outputs` are the other interfaces, `live.py` starts all.
"""

"""The live app: cameras in, names out, taught by showing; a page, a REST API, a terminal, MQTT or a window around it.

`session.py` decides and is pure; `service.py` joins it to a recognizer; everything else is one face or one wire.
"""

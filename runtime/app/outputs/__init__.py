"""Outputs of the live app besides the page: JSON lines, MQTT and an OpenCV window."""

"""Where else the live app sends its answers: JSON lines, MQTT and an OpenCV window."""

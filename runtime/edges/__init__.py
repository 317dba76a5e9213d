"""Answers for other programs: messages of ROS 2, and metadata in a GStreamer pipeline."""

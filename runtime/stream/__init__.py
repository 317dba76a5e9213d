"""What happens over time in a stream of frames: recent answers, strangers, smoothing, several cameras."""

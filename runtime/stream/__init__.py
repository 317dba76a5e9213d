"""What happens over time in streams of frames: recent answers, repeated strangers, smoothing, several cameras."""

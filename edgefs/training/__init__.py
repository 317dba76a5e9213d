"""One loop for every method, its checkpoints, and more than one process."""

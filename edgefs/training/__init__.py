"""The training loop of every meta-learning method, in one process or several."""

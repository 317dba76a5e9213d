"""Meta-learning methods, one a file, each headed by its paper; `edgefs/methods/` has their options."""

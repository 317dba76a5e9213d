"""Losses of domain adaptation, one a file, each headed by its paper; `edgefs/methods/adapt.py` has their options."""

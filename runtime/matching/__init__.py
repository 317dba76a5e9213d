"""Matching an embedding against a gallery: prototypes, heads and the decision "unknown". It imports numpy only."""

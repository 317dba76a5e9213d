"""Checks, repairs, backs up and restores galleries."""

"""Visits: stretches of time in which a camera showed one thing, kept on the disk for people to review."""

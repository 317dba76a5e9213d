"""How fast a bundle is on this machine, in figures that say themselves how far they can be trusted. docs/bench.md."""

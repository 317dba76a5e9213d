"""Benchmarks of a bundle on this machine: latency, throughput, cameras, energy (docs/bench.md)."""

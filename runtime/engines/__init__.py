"""Engines run the models of a bundle. `open_engine` opens one, checks it on golden frames and says why it chose it."""

from runtime.engines.base import Engine, EngineInfo, EngineSpec, agreement, cpus
from runtime.engines.opening import open_engine, verify_engines
from runtime.engines.registry import ENGINES, auto_engines, cpu_engine, engine_spec

__all__ = [
    "ENGINES",
    "Engine",
    "EngineInfo",
    "EngineSpec",
    "agreement",
    "auto_engines",
    "cpu_engine",
    "cpus",
    "engine_spec",
    "open_engine",
    "verify_engines",
]

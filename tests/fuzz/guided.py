"""Look for inputs that reach new code of a target, with atheris: python tests/fuzz/guided.py TARGET SECONDS.

What it finds is written to crash-*: reduce it, and keep it in KEPT of test_targets.py.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from pathlib import Path
from types import ModuleType

try:
    import atheris
except ImportError:
    sys.exit("atheris must be installed to look for new code, but is not. Do: pip install atheris (Linux, Python 3.11)")


def targets() -> ModuleType:
    """tests/fuzz/test_targets.py with everything that it imports, instrumented."""
    spec = importlib.util.spec_from_file_location("test_targets", Path(__file__).with_name("test_targets.py"))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    with atheris.instrument_imports(include=["runtime"]):
        spec.loader.exec_module(module)
    return module


def main(name: str, seconds: int) -> None:
    target, seeds, _ = targets().TARGETS[name]
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds()):
            (Path(corpus) / str(number)).write_bytes(seed)
        atheris.Setup([sys.argv[0], corpus, f"-max_total_time={seconds}", "-max_len=300000", "-timeout=10"], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

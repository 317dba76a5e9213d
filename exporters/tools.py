"""Libraries that only some exports need: import one of them, or say how to install it."""

from __future__ import annotations

import importlib
from typing import Any

from exporters.errors import ToolMissing


def load_tool(module: str, purpose: str, install: str = "pip install 'edgefs[export]'") -> Any:
    """Import a library when it is needed.

    Args:
        module: Name of the module.
        purpose: What needs it, the subject of the error message.
        install: The command that installs it.

    Raises:
        ToolMissing: The module cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ToolMissing(f"{purpose} needs {module.partition('.')[0]}, but {error}; do: {install}") from error

"""Print the API reference, from the docstrings of the public names.

    python -m edgefs.reports.api > docs/api.md

A name whose package is not installed here is listed by the module that has it; run this where everything is installed.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

PACKAGES = ("edgefs", "runtime", "exporters")
HEAD = """# API

The public names of `edgefs`, `runtime` and `exporters`. `make docs-api` writes this page from their docstrings.
"""


def reference() -> str:
    """The whole reference as Markdown."""
    written: dict[str, str] = {}
    return "\n".join([HEAD, *(part for package in PACKAGES for part in _package(package, written))])


def _package(name: str, written: dict[str, str]) -> Iterator[str]:
    """The section of a package; a name that an earlier package has too is only mentioned."""
    module = importlib.import_module(name)
    yield f"## {name}\n\n{inspect.cleandoc(module.__doc__ or '')}\n"
    for public in module.__all__:
        if public in written:
            yield f"### `{name}.{public}`\n\nThe same as `{written[public]}`.\n"
            continue
        home = module._HOMES.get(public, name) if hasattr(module, "_HOMES") else name
        node = _definition(home, public)
        if node is not None:
            written[public] = f"{name}.{public}"
            yield _entry(f"{name}.{public}", node)


def _definition(module: str, name: str, seen: int = 0) -> ast.stmt | None:
    """Where a name is defined, from the source, so that nothing heavy is imported; follows `from … import`."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None or seen > 4:
        return None
    for node in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == name:
            return node
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _definition(node.module, alias.name, seen + 1)
    return None


def _entry(title: str, node: Any) -> str:
    """One class or function, with the public methods of a class."""
    if isinstance(node, ast.FunctionDef):
        return f"### `{title}{_signature(node)}`\n\n{_doc(node)}\n"
    methods = [each for each in node.body if isinstance(each, ast.FunctionDef) and not each.name.startswith("_")]
    documented = [each for each in methods if ast.get_docstring(each)]
    init = next((each for each in node.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"), None)
    fields = [text for each in node.body if isinstance(each, ast.AnnAssign) if (text := ast.unparse(each))[0] != "_"]
    head = f"### `{title}{_signature(init) if init else ''}`\n\n{_doc(node)}\n"
    if fields:
        head += "\n```python\n" + "\n".join(fields) + "\n```\n"
    if init and ast.get_docstring(init):
        head += f"\n{_doc(init)}\n"
    return head + "".join(f"\n- `{each.name}{_signature(each)}`: {_doc(each, indent='  ')}\n" for each in documented)


def _signature(node: ast.FunctionDef) -> str:
    """The signature without `self`; a property has none."""
    if any(isinstance(each, ast.Name) and each.id == "property" for each in node.decorator_list):
        return f" -> {ast.unparse(node.returns)}" if node.returns else ""
    arguments = ast.unparse(node.args).removeprefix("self").removeprefix(", ")
    returns = f" -> {ast.unparse(node.returns)}" if node.returns and node.name != "__init__" else ""
    return f"({arguments}){returns}"


def _doc(node: ast.AST, indent: str = "") -> str:
    """The docstring; its sections (Args, Returns, Raises) become lists, which Markdown would run together."""
    lines = []
    for line in (ast.get_docstring(node) or "").splitlines():  # type: ignore[arg-type]
        is_item = line.startswith("    ") and not line.startswith("     ")
        lines.append(f"- {line.strip()}" if is_item else line.strip() if line.startswith("     ") else line)
        if line in ("Args:", "Returns:", "Raises:", "Attributes:"):
            lines[-1:] = ["", line, ""]
    return f"\n{indent}".join(lines)


if __name__ == "__main__":
    print(reference(), end="")

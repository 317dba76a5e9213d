"""Draw which room imports which, as Mermaid graphs in docs/imports.md; GitHub shows them as pictures.

    python -m benchmarks.imports_picture

The arrows are the imports of modules, read from the source by grimp (import-linter's graph), without those that only
type checkers see. A room is a folder or a single module directly in a package.
"""

from __future__ import annotations

from pathlib import Path

import grimp

PAGE = Path(__file__).parents[1] / "docs" / "imports.md"
PACKAGES = ("runtime", "runtime.app", "exporters", "edgefs")
HEAD = """# Which room imports which

`python -m benchmarks.imports_picture` draws this page from the source. The contracts of import-linter in
pyproject.toml hold the direction.
"""


def page() -> str:
    """docs/imports.md as text."""
    graph = grimp.build_graph("edgefs", "exporters", "runtime", exclude_type_checking_imports=True, cache_dir=None)
    return HEAD + "".join(_drawing(package, _arrows(graph, package)) for package in PACKAGES)


def _arrows(graph: grimp.ImportGraph, package: str) -> list[tuple[str, str]]:
    """Pairs (importer, imported) of rooms, sorted."""
    found = set()
    for module in sorted(graph.modules):
        for imported in graph.find_modules_directly_imported_by(module):
            rooms = _room(module, package), _room(imported, package)
            if rooms[0] and rooms[1] and rooms[0] != rooms[1]:
                found.add(rooms)
    return sorted(found)  # type: ignore[arg-type]


def _room(module: str, package: str) -> str | None:
    """The room of a package that holds a module; None for the package itself and for modules outside it."""
    inside = module.removeprefix(f"{package}.")
    return inside.split(".")[0] if inside != module else None


def _drawing(package: str, arrows: list[tuple[str, str]]) -> str:
    rooms = {room for arrow in arrows for room in arrow}
    lines = "\n".join(f"  {importer} --> {imported}" for importer, imported in arrows)
    return f"\n## {package}: {len(rooms)} rooms, {len(arrows)} arrows\n\n```mermaid\ngraph TD\n{lines}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(page())
    print(f"wrote {PAGE.name}")

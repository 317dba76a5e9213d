"""The notebooks of the tutorials: run their code, keep what it shows, and make pages of the site from them.

    python docs/notebooks.py docs/tutorials/meta-learning.ipynb     # run it, and store what it printed and drew

A notebook is JSON; its code is plain Python without magics, so no Jupyter is needed for this.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Cell = dict[str, Any]


def cells(notebook: Path) -> list[Cell]:
    """The cells of a notebook."""
    return json.loads(notebook.read_text(encoding="utf-8"))["cells"]


def run(notebook: Path) -> Iterator[list[Cell]]:
    """Run the code cells in order; yields what each of them shows, as Jupyter stores it."""
    import matplotlib

    matplotlib.use("Agg")
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, cell in enumerate(cells(notebook)):
        if cell["cell_type"] == "code":
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile("".join(cell["source"]), f"{notebook.name}, cell {number}", "exec"), names)
            yield [*_text(printed.getvalue()), *_figures()]


def _text(text: str) -> list[Cell]:
    return [{"output_type": "stream", "name": "stdout", "text": text.splitlines(keepends=True)}] if text else []


def _figures() -> Iterator[Cell]:
    """Every figure that is open, which is closed."""
    from matplotlib import pyplot

    for number in pyplot.get_fignums():
        picture = io.BytesIO()
        pyplot.figure(number).savefig(picture, format="png", dpi=70, bbox_inches="tight")
        pyplot.close(number)
        data = {"image/png": base64.b64encode(picture.getvalue()).decode()}
        yield {"output_type": "display_data", "data": data, "metadata": {}}


def store(notebook: Path) -> None:
    """Run a notebook and write what it shows into it, and into its Chinese copy, whose code is the same."""
    shown = list(run(notebook))
    folder = notebook.parent.parent
    for path in (notebook, folder / "zh" / notebook.relative_to(folder)):
        content = json.loads(path.read_text(encoding="utf-8"))
        code = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
        for number, (cell, outputs) in enumerate(zip(code, shown, strict=True), 1):
            cell.update(execution_count=number, outputs=outputs)
        path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def page(notebook: Path) -> str:
    """The notebook with what it shows as Markdown."""
    return "\n\n".join(part for cell in cells(notebook) for part in _parts(cell))


def _parts(cell: Cell) -> Iterator[str]:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        yield source
        return
    yield f"```python\n{source}\n```"
    for output in cell["outputs"]:
        if output["output_type"] == "stream":
            yield "```text\n" + "".join(output["text"]).rstrip() + "\n```"
        else:
            yield f"![](data:image/png;base64,{output['data']['image/png']})"


def on_files(files, config):
    """A hook of MkDocs: every notebook becomes a page as well."""
    from mkdocs.structure.files import File

    for file in [file for file in files if file.src_uri.endswith(".ipynb")]:
        files.append(
            File.generated(config, file.src_uri.replace(".ipynb", ".md"), content=page(Path(file.abs_src_path)))
        )
    return files


if __name__ == "__main__":
    for name in sys.argv[1:]:
        store(Path(name))

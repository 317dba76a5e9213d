"""`edgefs bench`, from the shell: files are written, results are compared, and bad input is refused."""

import json
import re

import pytest

from edgefs.cli import main

pytest.importorskip("onnxruntime")
QUICK = "--engines onnxruntime --seconds 0.1 --threads 1 --no-opening"


@pytest.fixture(scope="module")
def folder(tiny_bundle, tmp_path_factory):
    """A folder with the tiny bundle and the files of one run."""
    folder = tmp_path_factory.mktemp("bench")
    tiny_bundle.save(folder / "tiny.edgefs")
    files = "--json {0}/new.json --csv {0}/new.csv --html {0}/new.html --publish {0}/mine.json"
    assert main(f"bench {{0}}/tiny.edgefs {QUICK} {files}".format(folder).split()) == 0
    return folder


def test_the_result_is_written_as_json_csv_and_page(folder):
    assert json.loads((folder / "new.json").read_text())["results"][0]["engine"] == "onnxruntime"
    assert (folder / "new.csv").read_text().startswith("engine,version,precision")
    assert "edgefs bench" in (folder / "new.html").read_text(encoding="utf-8")


def test_a_result_is_published_as_one_file(folder):
    found = json.loads((folder / "mine.json").read_text())
    assert found["schema"] == "edgefs-bench-published-1"
    assert str(folder) not in (folder / "mine.json").read_text()


def test_a_result_compared_with_itself_has_not_changed(folder, capsys):
    found = json.loads((folder / "new.json").read_text())
    found["results"][0]["blocks"] = {"engine_ms": [1.0] * 40, "recognize_ms": [1.0] * 40}
    (folder / "old.json").write_text(json.dumps(found))
    files = f"--compare {folder}/old.json --json {folder}/third.json"
    assert main(f"bench {folder}/tiny.edgefs {QUICK} {files}".split()) == 0
    changes = json.loads((folder / "third.json").read_text())["changes"]
    assert [change["metric"] for change in changes] == ["engine", "recognize", "recognize over engine"]
    assert re.search(rf"onnxruntime fp32 recognize +{changes[1]['result']} ", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--engines tensorflow", "--engines must be all or some of onnxruntime"),
        ("--precisions int4", "none of those asked for opens"),
        ("--compare {0}/nothing.json", "cannot be read"),
        ("--compare {0}/tiny.edgefs/manifest.json", "but is another file"),
        ("--csv {0}/no/folder.csv", "--csv {0}/no/folder.csv cannot be written: there is no folder"),
        ("--publish {0}/no/mine.json", "--publish {0}/no/mine.json cannot be written: there is no folder"),
        ("--html {0}", "--html {0} cannot be written: it is a folder"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(folder, capsys, words, says):
    assert main(f"bench {folder}/tiny.edgefs {words}".format(folder).split()) == 1
    assert says.format(folder) in capsys.readouterr().err


@pytest.mark.parametrize("words", ["--scenario idle", "--batch 0", "--batch 1,x", "--seconds -1", "--engines ,"])
def test_impossible_options_are_usage_errors(words):
    with pytest.raises(SystemExit, match="2"):
        main(["bench", *words.split()])

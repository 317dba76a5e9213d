"""A bundle is loaded completely and unchanged, or refused with a BundleError that says what to do."""

import contextlib
import io
import json
import os
import shutil
import tracemalloc
import zipfile
from hashlib import sha256
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.bundle import Artifact, Bundle
from runtime.bundle.manifest import parse_manifest, seal
from runtime.engines import ENGINES
from runtime.errors import BundleCorrupt, BundleError, BundleMissing, BundleUnsupported, EngineError
from runtime.preprocess import Preprocess

FILES = ("manifest.json", "model.onnx", "golden/frames.npy", "golden/embeddings.npy", "MODEL_CARD.md")


def zipped(folder, target, prefix=""):
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, prefix + path.relative_to(folder).as_posix())
    return target


def change_manifest(folder, change):
    """Edit the manifest and correct its fingerprint and digest, as the author of a bad bundle would."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    with contextlib.suppress(TypeError):
        parts = [manifest["files"]["model.onnx"]["sha256"], manifest["preprocess"], manifest["embedding"]]
        manifest["fingerprint"] = sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    try:
        path.write_bytes(seal(manifest))
    except (TypeError, ValueError):  # not plain JSON, so that no digest can make it a manifest
        path.write_text(json.dumps(manifest))


def refit_digests(folder):
    def refit(manifest):
        for name in manifest["files"]:
            data = (folder / name).read_bytes()
            manifest["files"][name] = {"sha256": sha256(data).hexdigest(), "bytes": len(data)}

    change_manifest(folder, refit)


# -- saving and loading


@pytest.mark.parametrize("name", ["a.edgefs", "a.edgefs.zip", "new/folder/a.zip"])
def test_a_saved_bundle_loads_as_the_same_bundle(tiny_bundle, tmp_path, name):
    saved = tiny_bundle.save(tmp_path / name)
    assert saved.path == tmp_path / name
    assert saved.fingerprint == tiny_bundle.fingerprint
    assert saved.manifest == tiny_bundle.manifest
    assert saved.read("model.onnx") == tiny_bundle.read("model.onnx")
    for one, other in zip(saved.golden(), tiny_bundle.golden(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("prefix", ["", "tiny.edgefs/", "some/where/"])
def test_a_zip_of_the_files_or_of_their_folder_loads(tiny_bundle_dir, tmp_path, prefix):
    loaded = Bundle.load(zipped(tiny_bundle_dir, tmp_path / "z.zip", prefix))
    assert loaded.fingerprint == Bundle.load(tiny_bundle_dir).fingerprint


def test_equal_bundles_give_zips_of_equal_bytes(tiny_bundle, tmp_path):
    one, other = (tiny_bundle.save(tmp_path / name).path.read_bytes() for name in ("a.zip", "b.zip"))
    assert one == other


def test_unzipped_files_are_readable(tiny_bundle, tmp_path):
    path = tiny_bundle.save(tmp_path / "a.zip").path
    assert all(info.external_attr >> 16 & 0o777 == 0o644 for info in zipfile.ZipFile(path).infolist())
    if unzip := shutil.which("unzip"):
        os.spawnv(os.P_WAIT, unzip, [unzip, "-q", str(path), "-d", str(tmp_path / "a.edgefs")])
        assert Bundle.load(tmp_path / "a.edgefs").fingerprint == tiny_bundle.fingerprint


def test_a_fingerprint_covers_weights_preprocessing_and_metric(tiny, tiny_bundle):
    stretched = Bundle.build(
        name="x",
        description="",
        preprocess=Preprocess((32, 32), crop="stretch"),
        metric="cosine",
        model=tiny_bundle.read("model.onnx"),
        golden_frames=tiny_bundle.golden()[0],
        golden_embeddings=tiny_bundle.golden()[1],
    )
    variants = [tiny_bundle, stretched, tiny.bundle(seed=1), tiny.bundle(channels=1), tiny.bundle(metric="euclidean")]
    assert len({bundle.fingerprint for bundle in variants}) == len(variants)
    assert (
        tiny.bundle(calibrated=False).fingerprint == tiny_bundle.fingerprint
    )  # calibration does not change embeddings


def test_save_overwrites_only_bundles_and_only_on_request(tiny, tiny_bundle, tmp_path):
    for name in ("a.edgefs", "a.zip"):
        tiny.bundle(seed=1).save(tmp_path / name)
        with pytest.raises(BundleError, match="exists already"):
            tiny_bundle.save(tmp_path / name)
        assert tiny_bundle.save(tmp_path / name, overwrite=True).fingerprint == tiny_bundle.fingerprint
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.tex").write_text("years of work")
    with pytest.raises(BundleError, match="must be a bundle to be overwritten"):
        tiny_bundle.save(home, overwrite=True)
    assert (home / "thesis.tex").read_text() == "years of work"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "a.edgefs",
        "a.zip",
        "home",
    ]  # no temporary file is left


def test_a_bundle_can_be_saved_over_itself(tiny_bundle_dir):
    loaded = Bundle.load(tiny_bundle_dir)
    assert loaded.save(tiny_bundle_dir, overwrite=True).fingerprint == loaded.fingerprint


@pytest.mark.parametrize("name", ["full.edgefs", "full.zip"])
@pytest.mark.parametrize("there_before", [False, True])
def test_a_full_disk_leaves_the_old_bundle_and_nothing_else(
    tiny, tiny_bundle_dir, tmp_path, python, name, there_before
):
    target = tmp_path / "out" / name
    target.parent.mkdir()
    if there_before:
        tiny.bundle(seed=1).save(target)
    code = """
import resource, sys
from runtime.bundle import Bundle
from runtime.errors import BundleError
bundle = Bundle.load(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))
try:
    bundle.save(sys.argv[2], overwrite=True)
except BundleError as error:
    print(error)
"""
    done = python(code, tiny_bundle_dir, target)
    assert "cannot be written" in done.stdout
    assert "free some space" in done.stdout
    assert done.stderr == ""
    assert [path.name for path in target.parent.iterdir()] == ([name] if there_before else [])
    if there_before:
        assert Bundle.load(target).fingerprint == tiny.bundle(seed=1).fingerprint


def test_an_unwritable_path_is_a_bundle_error(tiny_bundle, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleError, match=r"cannot be written: .*writable place"):
        tiny_bundle.save(tmp_path / "file" / "a.edgefs")


def test_a_bundle_that_load_would_refuse_cannot_be_built(tiny_bundle):
    frames, embeddings = tiny_bundle.golden()
    good = {
        "name": "x",
        "description": "",
        "preprocess": tiny_bundle.preprocess,
        "metric": "cosine",
        "model": tiny_bundle.read("model.onnx"),
        "golden_frames": frames,
        "golden_embeddings": embeddings,
    }
    Bundle.build(**good)
    for bad, message in (
        ({"metric": "manhattan"}, "embedding"),
        ({"golden_frames": frames[:, :30]}, "golden frames must be"),
        ({"golden_frames": frames.astype(np.float32)}, "golden frames must be"),
        ({"golden_frames": frames[:0], "golden_embeddings": embeddings[:0]}, "golden frames must be"),
        ({"golden_embeddings": embeddings[:3]}, "golden frames must be"),
        ({"golden_embeddings": embeddings * np.float32(np.nan)}, "golden frames must be"),
        ({"model": b"not onnx"}, "model.onnx"),
        ({"provenance": {"accuracy": float("nan")}}, "plain JSON without NaN"),
        ({"provenance": {"when": object()}}, "plain JSON"),
        ({"calibration": {"version": 2}}, "calibration"),
        ({"calibration": {**tiny_bundle.calibration, "version": 3}}, "calibration"),
        ({"calibration": {**tiny_bundle.calibration, "rates": [0.4, 0.1, 0.05, 0.01]}}, "calibration"),
        ({"extra": {"manifest.json": b"{}"}}, "files"),
        ({"extra": {"../escape": b""}}, "files"),
        ({"artifacts": (Artifact("onnx", "int8", "absent.onnx"),)}, "artifacts"),
        ({"artifacts": (Artifact("onnx", "fp32", "model.onnx", min_cosine=-1),)}, "artifacts"),
    ):
        with pytest.raises(BundleError, match=message):
            Bundle.build(**{**good, **bad})


# -- damage


@pytest.mark.parametrize("name", FILES)
def test_one_flipped_bit_in_any_file_is_found(tiny_bundle_dir, name):
    path = tiny_bundle_dir / name
    data = path.read_bytes()
    for at in np.random.default_rng(0).integers(0, len(data), 12):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1 << int(at) % 8]) + data[at + 1 :])
        message = r"copy|upgrade|install|check" if name == "manifest.json" else "must match its sha256, but is damaged"
        with pytest.raises(BundleError, match=message):
            Bundle.load(tiny_bundle_dir)


def test_every_single_flipped_bit_of_the_manifest_is_refused(tiny_bundle_dir):
    data = (tiny_bundle_dir / "manifest.json").read_bytes()
    for at in range(len(data)):
        for bit in range(8):
            damaged = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
            with pytest.raises(BundleError):
                parse_manifest(damaged, "x")
    assert parse_manifest(data, "x")["name"]


def test_a_bundle_of_the_format_without_a_digest_opens_with_a_warning_and_is_sealed_when_saved(
    tiny_bundle_dir, tmp_path, caplog
):
    path = tiny_bundle_dir / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["digest"]
    path.write_text(json.dumps({**manifest, "version": 1}))
    loaded = Bundle.load(tiny_bundle_dir)
    assert f"edgefs bundle seal {tiny_bundle_dir}" in caplog.text
    caplog.clear()
    assert loaded.save(tmp_path / "sealed.edgefs").fingerprint == loaded.fingerprint
    assert caplog.text == ""


KILLED_AT = """
import os, sys
from runtime.bundle import Bundle
import runtime.durable
bundle, target, number, exchange = Bundle.load(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]
if exchange == "no":
    runtime.durable._exchange = lambda one, other: False
folder, calls = os.path.dirname(target), [0]
def count(event, arguments):
    if event in ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "ctypes.dlsym"):
        calls[0] += 1
        if calls[0] == number:
            os._exit(9)
sys.addaudithook(count)
bundle.save(target, overwrite=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("exchange", ["yes", "no"])
@pytest.mark.parametrize("name", ["a.edgefs", "a.zip"])
def test_a_save_that_is_killed_at_any_call_leaves_the_old_or_the_new_bundle(
    tiny, tiny_bundle_dir, tmp_path, python, name, exchange
):
    old, new = tiny.bundle(seed=1), Bundle.load(tiny_bundle_dir)
    number, found = 0, []
    while True:
        number += 1
        place = tmp_path / str(number)
        old.save(place / name)
        done = python(KILLED_AT, tiny_bundle_dir, place / name, number, exchange, check=False)
        found.append(Bundle.load(place / name).fingerprint)
        if done.returncode == 0:
            break
        assert done.returncode == 9, done.stderr
        new.save(place / name, overwrite=True)
        assert Bundle.load(place / name).fingerprint == new.fingerprint
    assert set(found) == {old.fingerprint, new.fingerprint}
    assert found == sorted(found, key=[old.fingerprint, new.fingerprint].index)
    assert number > 10


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "how", ["truncated", "longer", "empty", "missing", "symlink", "fifo", "directory", "unreadable"]
)
def test_a_changed_or_missing_file_is_refused(tiny_bundle_dir, tmp_path, name, how):
    path = tiny_bundle_dir / name
    data = path.read_bytes()
    path.unlink()
    if how == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif how == "longer":
        path.write_bytes(data + b"{")
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "symlink":
        (tmp_path / "elsewhere").write_bytes(data)
        path.symlink_to(tmp_path / "elsewhere")
    elif how == "fifo":
        os.mkfifo(path)
    elif how == "directory":
        path.mkdir()
    elif how == "unreadable":
        path.symlink_to(path)  # a link to itself cannot be read, even by root
    with pytest.raises(BundleError, match=r"copy the bundle again|copy it again|not JSON"):
        Bundle.load(tiny_bundle_dir)


def test_a_folder_of_the_bundle_must_not_be_a_link(tiny_bundle_dir, tmp_path):
    shutil.move(tiny_bundle_dir / "golden", tmp_path / "golden")
    (tiny_bundle_dir / "golden").symlink_to(tmp_path / "golden")
    with pytest.raises(BundleCorrupt, match="is a link"):
        Bundle.load(tiny_bundle_dir)


def test_a_link_to_the_whole_bundle_is_accepted(tiny_bundle_dir, tmp_path):
    (tmp_path / "current").symlink_to(tiny_bundle_dir)
    assert Bundle.load(tmp_path / "current").name == "tiny-3-cosine-32-0"


def test_damage_after_loading_is_found_by_read_and_by_verify(tiny_bundle_dir):
    loaded = Bundle.load(tiny_bundle_dir)
    (tiny_bundle_dir / "model.onnx").write_bytes(b"x")
    with pytest.raises(BundleCorrupt, match="sha256"):
        loaded.read("model.onnx")
    with pytest.raises(BundleCorrupt, match="sha256"):
        loaded.verify()


@pytest.mark.parametrize("path", ["absent", "a\0b", "\ud800", "x" * 300])
def test_a_missing_path_is_named_in_the_error(tmp_path, path):
    with pytest.raises(BundleMissing, match="check the path"):
        Bundle.load(tmp_path / path)


def test_a_file_the_manifest_does_not_list_is_not_read(tiny_bundle_dir):
    (tiny_bundle_dir / "note.txt").write_text("added later")
    with pytest.raises(BundleMissing, match="must be listed in the manifest"):
        Bundle.load(tiny_bundle_dir).read("note.txt")


# -- a manifest that lies


def test_golden_frames_that_do_not_fit_the_model_are_found_by_verify(tiny_bundle_dir):
    path = tiny_bundle_dir / "golden/embeddings.npy"
    np.save(path, np.roll(np.load(path), 1, axis=0))
    refit_digests(tiny_bundle_dir)
    loaded = Bundle.load(tiny_bundle_dir)
    with pytest.raises(EngineError, match=r"must reproduce the golden frames.*but the worst is -?0\.\d"):
        loaded.verify()


def test_weights_that_do_not_fit_the_golden_frames_are_found_by_verify(tiny, tiny_bundle_dir):
    (tiny_bundle_dir / "model.onnx").write_bytes(tiny.bundle(seed=9).read("model.onnx"))
    refit_digests(tiny_bundle_dir)
    with pytest.raises(EngineError, match="must reproduce the golden frames"):
        Bundle.load(tiny_bundle_dir).verify()


def test_a_newer_format_tells_to_upgrade(tiny_bundle_dir):
    change_manifest(tiny_bundle_dir, lambda manifest: manifest.update(preprocess={"size": "new"}))
    path = tiny_bundle_dir / "manifest.json"
    path.write_text(path.read_text().replace('"version": 2', '"version": 3', 1))
    with pytest.raises(BundleUnsupported, match="pip install -U edgefs"):
        Bundle.load(tiny_bundle_dir)


def set_in(manifest, path, value):
    *parents, last = path
    for key in parents:
        manifest = manifest[key]
    if value is KeyError:
        del manifest[last]
    else:
        manifest[last] = value


ESCAPES = [
    "../x",
    "/etc/passwd",
    "a/../b",
    "a//b",
    "./a",
    ".",
    "",
    "C:/x",
    "C:x",
    "a\\b",
    "a\0b",
    "\ud800",
    "a/",
    "a b",
]
LIES = [
    (["files", "manifest.json"], {"sha256": "0" * 64, "bytes": 0}),
    (["format"], "something-else"),
    (["name"], 7),
    (["preprocess"], None),
    (["preprocess", "size"], [32.0, 32]),
    (["preprocess", "size"], [True, 32]),
    (["preprocess", "size"], [0, 32]),
    (["preprocess", "size"], [10**9, 10**9]),
    (["preprocess", "channels"], 3.0),
    (["preprocess", "channels"], True),
    (["preprocess", "channels"], 4),
    (["preprocess", "crop"], ["square"]),
    (["preprocess", "resampler"], "lanczos"),
    (["preprocess", "surprise"], 1),
    (["embedding", "dim"], 1e400),
    (["embedding", "dim"], float("nan")),
    (["embedding", "dim"], "32"),
    (["embedding", "dim"], 10**30),
    (["embedding", "dim"], 31),
    (["embedding", "metric"], ["cosine"]),
    (["files"], []),
    (["files", "MODEL_CARD.md", "bytes"], 2.5),
    (["files", "MODEL_CARD.md", "bytes"], -1),
    (["files", "MODEL_CARD.md", "bytes"], 10**18),
    (["files", "MODEL_CARD.md"], None),
    (["artifacts"], [{"target": ["onnx"], "precision": "fp32", "file": "model.onnx"}]),
    (["artifacts"], [{"target": "onnx", "precision": {}, "file": "model.onnx"}]),
    (["artifacts"], [{"target": "onnx", "precision": "fp32", "file": "model.onnx", "min_cosine": "high"}]),
    (["artifacts"], [{"target": "onnx", "precision": "fp32", "file": "model.onnx", "min_cosine": float("nan")}]),
    (["artifacts"], [{"target": "openvino", "precision": "fp32", "file": "model.onnx"}]),
    (["artifacts"], [{"nothing": 1}]),
    (["artifacts"], 3),
    (["calibration"], KeyError),
    (["calibration"], 5),
    (["calibration"], {"version": 2}),
    (["calibration", "version"], 3),
    (["calibration", "sizes"], [0, 3, 10]),
    (["calibration", "rates"], [0.1, 0.05, 0.02, 0.01]),
    (["calibration", "mean"], [float("nan"), 1, 1]),
    (["calibration", "mean"], [0.5]),
    (["calibration", "excess"], "ab"),
    (["calibration", "excess"], [[0], [1]]),
    (["calibration", "cap"], None),
    (["calibration", "twin"], float("inf")),
    *((["files", name], {"sha256": "0" * 64, "bytes": 0}) for name in ESCAPES),
]


@pytest.mark.parametrize(("path", "value"), LIES, ids=lambda value: repr(value)[:40].replace("\\", "-"))
@pytest.mark.parametrize("kind", ["directory", "zip"])
def test_a_wrong_value_in_the_manifest_is_a_bundle_error(tiny_bundle_dir, tmp_path, path, value, kind):
    change_manifest(tiny_bundle_dir, lambda manifest: set_in(manifest, path, value))
    where = tiny_bundle_dir if kind == "directory" else zipped(tiny_bundle_dir, tmp_path / "z.zip")
    with pytest.raises(BundleError, match=r"again|check the path"):
        Bundle.load(where)


def test_a_bundle_that_is_too_large_is_refused_with_its_size(tiny_bundle_dir):
    """A ViT-L is 1.2 GB in ONNX and 1.2 GB in OpenVINO."""
    change_manifest(tiny_bundle_dir, lambda manifest: set_in(manifest, ["files", "MODEL_CARD.md", "bytes"], 2 * 10**9))
    with pytest.raises(
        BundleError, match=r"at most 2,000,000,000 bytes together, but have 2,000,.*export fewer targets"
    ):
        Bundle.load(tiny_bundle_dir)


def test_an_onnx_artifact_is_checked_whatever_its_file_is_called(tiny_bundle_dir):
    (tiny_bundle_dir / "weights.dat").write_bytes(b"not onnx")
    entry = {"target": "onnx", "precision": "int8", "file": "weights.dat"}

    def smuggle(manifest):
        manifest["files"]["weights.dat"] = {}
        manifest["artifacts"].append(entry)

    change_manifest(tiny_bundle_dir, smuggle)
    refit_digests(tiny_bundle_dir)
    with pytest.raises(BundleCorrupt, match=r"weights\.dat must be an ONNX file"):
        Bundle.load(tiny_bundle_dir)


def npy(header, data=b""):
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04 a zip",
        b"\x93NUMPY\x01\x00",
        b"\x93NUMPY\x02\x00\x00\x00\x00\x00",
        npy(b"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"12345678"),
        npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999,)}"),
        npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': ()}", b"1234"),
        npy(b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -1)}", b"1234"),
        npy(b"(" * 400),
        npy(b"{'a': 1L, 'b': \"\"\"}"),
    ],
)
@pytest.mark.parametrize("name", ["golden/frames.npy", "golden/embeddings.npy"])
def test_golden_data_that_is_no_plain_array_is_refused(tiny_bundle_dir, name, data):
    (tiny_bundle_dir / name).write_bytes(data)
    refit_digests(tiny_bundle_dir)
    with pytest.raises(BundleCorrupt, match="export the bundle again"):
        Bundle.load(tiny_bundle_dir)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
in_one_folder = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@in_one_folder
@given(data=st.data())
def test_any_json_anywhere_in_the_manifest_gives_a_bundle_or_a_bundle_error(tiny_bundle, tiny_bundle_dir, data):
    manifest = json.loads(json.dumps(dict(tiny_bundle.manifest)))
    place, path = manifest, []
    while isinstance(place, dict) and place and (not path or data.draw(st.booleans())):
        path.append(data.draw(st.sampled_from(sorted(place))))
        place = place[path[-1]]
    set_in(manifest, path, data.draw(json_values | st.just(KeyError)))
    try:
        (tiny_bundle_dir / "manifest.json").write_bytes(seal(manifest))
    except ValueError:  # NaN or infinite
        return
    try:
        loaded = Bundle.load(tiny_bundle_dir)
    except BundleError:
        return
    assert loaded.artifacts is not None
    assert loaded.dim == 32
    assert loaded.preprocess == tiny_bundle.preprocess


@in_one_folder
@given(st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_as_manifest_give_a_bundle_error(tiny_bundle_dir, data):
    (tiny_bundle_dir / "manifest.json").write_bytes(data)
    with pytest.raises(BundleError):
        Bundle.load(tiny_bundle_dir)


@pytest.mark.parametrize("data", [b"[" * 100_000, b'{"a":' * 100_000, b"9" * 10_000, b" " * 5_000_000, b"\xff\xfe{"])
def test_a_manifest_made_to_break_the_parser_gives_a_bundle_error(tiny_bundle_dir, data):
    (tiny_bundle_dir / "manifest.json").write_bytes(data)
    with pytest.raises(BundleError):
        Bundle.load(tiny_bundle_dir)


# -- zips


@in_one_folder
@given(at=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255), cut=st.booleans())
def test_a_damaged_zip_gives_the_same_bundle_or_a_bundle_error(tiny_bundle, tmp_path, at, byte, cut):
    if not (tmp_path / "good.zip").exists():
        tiny_bundle.save(tmp_path / "good.zip")
    data = bytearray((tmp_path / "good.zip").read_bytes())
    data[int(at * len(data))] = byte
    (tmp_path / "bad.zip").write_bytes(data[: int(at * len(data))] if cut else data)
    with contextlib.suppress(BundleError):
        assert Bundle.load(tmp_path / "bad.zip").fingerprint == tiny_bundle.fingerprint


def bomb(tiny_bundle_dir, target, method, inflated):
    with zipfile.ZipFile(target, "w", method) as archive:
        for name in FILES:
            data = (tiny_bundle_dir / name).read_bytes()
            archive.writestr(name, bytes(inflated) if name == "MODEL_CARD.md" else data)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_zip_bomb_is_cut_off(tiny_bundle_dir, tmp_path, method):
    bomb(tiny_bundle_dir, tmp_path / "bomb.zip", method, 30_000_000)
    assert (tmp_path / "bomb.zip").stat().st_size < 100_000
    tracemalloc.start()
    try:
        with pytest.raises(BundleCorrupt, match="copy"):
            Bundle.load(tmp_path / "bomb.zip")
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("count", "message"), [(2000, "2,0.. files"), (20_000, "its directory has")])
def test_a_zip_of_very_many_files_is_refused_before_any_is_read(tiny_bundle_dir, tmp_path, count, message):
    path = zipped(tiny_bundle_dir, tmp_path / "many.zip")
    with zipfile.ZipFile(path, "a") as archive:
        for number in range(count):
            archive.writestr(f"{number:x}", b"")
    with pytest.raises(BundleCorrupt, match=message):
        Bundle.load(path)


def test_a_zip_that_declares_far_more_than_it_holds_is_refused_before_it_is_inflated(tiny_bundle_dir, tmp_path):
    (tiny_bundle_dir / "MODEL_CARD.md").write_bytes(bytes(50_000_000))
    refit_digests(tiny_bundle_dir)
    path = zipped(tiny_bundle_dir, tmp_path / "bomb.zip")
    tracemalloc.start()
    try:
        with pytest.raises(BundleCorrupt, match="which no model does"):
            Bundle.load(path)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


def test_an_encrypted_zip_and_a_text_file_are_refused(tiny_bundle, tmp_path):
    path = tiny_bundle.save(tmp_path / "a.zip").path
    data = bytearray(path.read_bytes())
    for at in range(len(data) - 4):
        if data[at : at + 4] == b"PK\x01\x02":
            data[at + 8] |= 1  # "encrypted", in the central directory
    path.write_bytes(data)
    with pytest.raises(BundleCorrupt, match="cannot be read"):
        Bundle.load(path)
    path.write_text("hello")
    with pytest.raises(BundleCorrupt, match="must be the zip of a bundle"):
        Bundle.load(path)


def test_a_file_missing_in_a_zip_is_named(tiny_bundle_dir, tmp_path):
    (tiny_bundle_dir / "MODEL_CARD.md").unlink()
    with pytest.raises(BundleMissing, match=r"MODEL_CARD\.md must be in .*z\.zip"):
        Bundle.load(zipped(tiny_bundle_dir, tmp_path / "z.zip"))


# -- verify


def test_verify_reports_every_installed_engine(tiny_bundle):
    infos = tiny_bundle.verify()
    assert {info.name for info in infos} >= {"onnxruntime", "openvino"} & {name for name in ENGINES if find_spec(name)}
    assert all(info.golden_cosine > 0.99999 and info.version and info.precision == "fp32" for info in infos)


def test_verify_covers_openvino_files_of_the_bundle(tiny_bundle, tmp_path):
    openvino = pytest.importorskip("openvino")
    model = openvino.Core().read_model(io.BytesIO(tiny_bundle.read("model.onnx")))
    openvino.save_model(model, tmp_path / "model.xml", compress_to_fp16=False)
    frames, embeddings = tiny_bundle.golden()

    def build(xml):
        return Bundle.build(
            name="with-ir",
            description="",
            preprocess=tiny_bundle.preprocess,
            metric="cosine",
            model=tiny_bundle.read("model.onnx"),
            golden_frames=frames,
            golden_embeddings=embeddings,
            extra={"ov/model.xml": xml, "ov/model.bin": (tmp_path / "model.bin").read_bytes()},
            artifacts=(Artifact("openvino", "fp32", "ov/model.xml"),),
        )

    xml = (tmp_path / "model.xml").read_bytes()
    bundle = build(xml)
    assert bundle.fingerprint == tiny_bundle.fingerprint
    seen = {(info.name, info.artifact) for info in bundle.verify()}
    assert seen >= {("openvino", "model.onnx"), ("openvino", "ov/model.xml")}
    for bad, message in (
        (xml.replace(b'type="ReLU"', b'type="Loop"'), "Loop"),
        (xml.replace(b'type="ReLU"', b'type="&#76;oop"'), "Loop"),
        (xml.replace(b"<net ", b'<!DOCTYPE net [<!ENTITY a "b">]><net ', 1), "document type"),
        (xml.decode().encode("utf-16"), "document type"),
        (b"<net></net>", "no <net> of layers"),
        (xml[: len(xml) // 2], "is not XML"),
        (b"", "is not XML"),
    ):
        with pytest.raises(BundleError, match=message):
            build(bad)

"""Random changes of sound files raise nothing but the errors of this package, and an error changes nothing.

`make fuzz` tries 20 times as many, and with atheris, if it is installed, it looks for inputs that reach new code.
An input that once failed is kept in KEPT, as a list of edits.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
import zipfile
from functools import cache
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.bundle.files import from_npy, to_npy, zip_reader
from runtime.bundle.manifest import MAX_MANIFEST_BYTES, parse_manifest, seal
from runtime.bundle.onnx_cost import check_cost
from runtime.bundle.onnx_guard import check_onnx
from runtime.errors import BundleCorrupt, BundleError, EdgefsError, FrameError, GalleryError
from runtime.gallery import NewShot, export_gallery, import_gallery, open_gallery
from runtime.models import default_bundle
from runtime.opencv import decode_image

TIMES = float(os.environ.get("EDGEFS_FUZZ", "1"))  # how many times the usual number of examples are tried
FRAME = (144, 144, 3)


# -- the targets: each takes any bytes


def try_manifest(data: bytes) -> None:
    """A manifest whose digest is right, so that what is behind the digest is reached."""
    for text in (data, sealed(data)):
        try:
            parse_manifest(text, "it")
        except BundleError:
            continue


def sealed(data: bytes) -> bytes:
    try:
        manifest = json.loads(data)
        return seal(manifest) if isinstance(manifest, dict) else data
    except (ValueError, RecursionError):
        return data


def try_model(data: bytes) -> None:
    try:
        check_onnx(data)
        check_cost(data, FRAME)
    except BundleError:
        pass


def try_array(data: bytes) -> None:
    with contextlib.suppress(BundleCorrupt):
        from_npy(data, "it")


def try_bundle_zip(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.zip"
        path.write_bytes(data)
        with contextlib.suppress(BundleError):
            zip_reader(path)("manifest.json", MAX_MANIFEST_BYTES)


def try_gallery(data: bytes) -> None:
    """A gallery file with the given bytes: it opens, perhaps for reading only, or is refused."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shop.db"
        path.write_bytes(data)
        try:
            with open_gallery(path, fingerprint="model", dim=4) as gallery:
                for label in gallery.classes:
                    gallery.records(label)
                gallery.check()
        except GalleryError:
            pass


def try_archive(data: bytes) -> None:
    """An archive with the given bytes: everything of it is added, or nothing."""
    with tempfile.TemporaryDirectory() as folder, open_gallery(None, fingerprint="model", dim=4) as gallery:
        path = Path(folder) / "a.zip"
        for content in (data, refitted(data)):
            path.write_bytes(content)
            before = list(gallery.classes)
            try:
                import_gallery(gallery, path)
            except EdgefsError:
                assert list(gallery.classes) == before


def refitted(data: bytes) -> bytes:
    """The archive with correct digests, as whoever changed it would write it."""
    out = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as members:
            contents = {name: members.read(name) for name in members.namelist()}
        state = json.loads(contents["gallery.json"])
        state["sha256"] = {name: sha256(each).hexdigest() for name, each in contents.items() if name != "gallery.json"}
        contents["gallery.json"] = json.dumps(state).encode()
        with zipfile.ZipFile(out, "w") as members:
            for name, each in contents.items():
                members.writestr(name, each)
    except Exception:  # no zip, or no archive
        return data
    return out.getvalue()


def try_picture(data: bytes) -> None:
    try:
        picture = decode_image(data)
    except FrameError:
        return
    assert picture.dtype == np.uint8
    assert picture.shape[2:] == (3,)


# -- what is changed


@cache
def manifests() -> list[bytes]:
    return [seal(default_bundle().manifest)]


@cache
def models() -> list[bytes]:
    return [default_bundle().read("model.onnx")[:200_000], small_model()]


def small_model() -> bytes:
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Shape", ["frames"], ["shape"]),
        helper.make_node("Gather", ["shape", "first"], ["n"], axis=0),
        helper.make_node("Concat", ["n", "rest"], ["wanted"], axis=0),
        helper.make_node("Cast", ["frames"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["floats", "wanted"], ["flat"]),
        helper.make_node("Slice", ["flat", "first", "ends", "axes"], ["some"]),
        helper.make_node("Tile", ["some", "times"], ["y"]),
    ]
    lists = {"first": [0], "rest": [-1], "ends": [64], "axes": [1], "times": [1, 2]}
    stored = [numpy_helper.from_array(np.array(each, np.int64), name) for name, each in lists.items()]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["n", *FRAME])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 128])],
        stored,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]).SerializeToString()


@cache
def arrays() -> list[bytes]:
    return [to_npy(np.ones((3, 4), np.float32)), to_npy(np.zeros((2, 2, 2, 3), np.uint8))]


@cache
def bundle_zips() -> list[bytes]:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as members:
        members.writestr("a.edgefs/manifest.json", manifests()[0])
        members.writestr("a.edgefs/golden/frames.npy", arrays()[1])
    return [out.getvalue()]


def filled(path: Path | None):
    gallery = open_gallery(path, fingerprint="model", dim=4)
    dice = np.random.default_rng(0)
    for label in ("mug", "cup"):
        rows = dice.standard_normal((2, 4)).astype(np.float32)
        gallery.add(label, [NewShot(row, pictures()[0], "burst", 0.5, "camera 0", 1.0) for row in rows])
    return gallery


@cache
def galleries() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder:
        filled(Path(folder) / "shop.db").close()
        return [(Path(folder) / "shop.db").read_bytes()]


@cache
def archives() -> list[bytes]:
    with tempfile.TemporaryDirectory() as folder, filled(None) as gallery:
        export_gallery(gallery, Path(folder) / "a.zip")
        return [(Path(folder) / "a.zip").read_bytes()]


@cache
def pictures() -> list[bytes]:
    picture = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    return [cv2.imencode(kind, picture)[1].tobytes() for kind in (".jpg", ".png", ".webp", ".bmp", ".tiff")]


TARGETS = {  # name -> (target, sound inputs, examples in the default suite: together about a minute)
    "manifest": (try_manifest, manifests, 1500),
    "model": (try_model, models, 1500),
    "array": (try_array, arrays, 1500),
    "bundle zip": (try_bundle_zip, bundle_zips, 1000),
    "gallery": (try_gallery, galleries, 150),
    "archive": (try_archive, archives, 400),
    "picture": (try_picture, pictures, 1500),
}
KINDS = ("flip", "set", "delete", "insert", "repeat", "cut")
Edit = tuple[str, float, bytes]
KEPT: dict[str, list[list[Edit]]] = {name: [] for name in TARGETS}


def edited(data: bytes, edits: list[Edit]) -> bytes:
    """Return the bytes with edits, each (kind, place as a share of the length, bytes)."""
    out = bytearray(data)
    for kind, share, new in edits:
        at, size = int(share * len(out)), max(1, len(new))
        if kind == "flip" and out:
            out[at] ^= 1 << len(new) % 8
        elif kind == "set":
            out[at : at + len(new)] = new
        elif kind == "delete":
            del out[at : at + size * 4]
        elif kind == "insert":
            out[at:at] = new
        elif kind == "repeat":
            out[at:at] = out[at : at + size * 8]
        elif kind == "cut":
            del out[at:]
    return bytes(out)


EDITS = st.lists(
    st.tuples(st.sampled_from(KINDS), st.floats(0, 1, exclude_max=True), st.binary(max_size=9)), min_size=1, max_size=6
)


@pytest.mark.parametrize("name", TARGETS)
def test_changed_bytes_raise_nothing_but_our_errors(name):
    target, seeds, examples = TARGETS[name]
    for seed in seeds():
        target(seed)
        for edits in KEPT[name]:
            target(edited(seed, edits))

    @settings(
        max_examples=round(examples * TIMES),
        deadline=None,
        derandomize=TIMES == 1,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, len(seeds()) - 1), EDITS)
    def attempt(which, edits):
        target(edited(seeds()[which], edits))

    attempt()

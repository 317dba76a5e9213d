"""torchvision's networks are cut before their last linear layer; downloads and sizes that fail are explained."""

import email.message
import io
import urllib.error

import numpy as np
import pytest

pytestmark = pytest.mark.torch

torch = pytest.importorskip("torch")
models = pytest.importorskip("torchvision.models")

from exporters.errors import ExportError, SourceError  # noqa: E402
from exporters.sources.torchvision_source import torchvision_source  # noqa: E402


@pytest.mark.parametrize(("name", "dim"), [("mobilenet_v3_small", 1024), ("resnet18", 512), ("squeezenet1_0", None)])
def test_the_embedding_is_what_the_last_linear_layer_saw(name, dim):
    if dim is None:
        with pytest.raises(SourceError, match="linear layer"):
            torchvision_source(name, weights="none")
        return
    source = torchvision_source(name, weights="none", size=64)
    assert source.preprocess.size == (64, 64)
    embeddings = source.embed(np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8))
    assert embeddings.shape == (2, dim)


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(SourceError, match=r"mobilenet_v2.*but is 'mobilenet_v9'"):
        torchvision_source("mobilenet_v9", weights="none")


def test_a_size_the_network_cannot_take_is_an_export_error():
    with pytest.raises(ExportError, match="--size"):
        torchvision_source("alexnet", weights="none", size=16)
    source = torchvision_source("resnet18", weights="none", size=64)
    with pytest.raises(ExportError, match="--size"):
        source.embed(np.zeros((1, 64, 64, 1), np.uint8))


def test_random_weights_are_the_same_every_time_and_do_not_vanish():
    frames = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), np.uint8)
    first, second = (
        torchvision_source("mobilenet_v3_small", weights="none", size=64).features(frames) for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    assert np.linalg.norm(first, axis=1).min() > 0.01


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The file that torchvision would download, in an empty download cache of torch."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder / models.MobileNet_V3_Small_Weights.DEFAULT.url.rpartition("/")[2]


@pytest.fixture
def site(monkeypatch):
    """Bytes in this list are what torchvision's web site answers; if it is empty, the site cannot be reached."""
    content = []

    def answer(*_):
        if not content:
            raise urllib.error.URLError("no route to host")
        body = io.BytesIO(content[0])
        body.info = email.message.Message
        return body

    monkeypatch.setattr("torch.hub.urlopen", answer)
    return content


def test_default_weights_come_from_the_cache_of_torch_and_bring_their_preprocessing(cache, site):
    torch.manual_seed(3)
    network = models.mobilenet_v3_small()
    torch.save(network.state_dict(), cache)
    source = torchvision_source("mobilenet_v3_small", weights="DEFAULT", size=64)
    assert source.facts["weights"] == "MobileNet_V3_Small_Weights.IMAGENET1K_V1"
    torch.testing.assert_close(source.graph.network.features[0][0].weight, network.features[0][0].weight)


def test_without_a_network_the_address_and_other_ways_are_named(cache, site):
    with pytest.raises(
        SourceError, match=r"download\.pytorch\.org/models/mobilenet_v3_small.*no route to host.*--weights"
    ):
        torchvision_source("mobilenet_v3_small")
    assert list(cache.parent.iterdir()) == []


def test_a_download_of_other_bytes_is_refused_and_not_kept(cache, site):
    site.append(b"a login page")
    with pytest.raises(SourceError, match=r"invalid hash value.*--weights FILE"):
        torchvision_source("mobilenet_v3_small")
    assert not cache.exists()


def test_a_damaged_file_in_the_cache_is_named(cache, site):
    cache.write_bytes(b"half a file")
    with pytest.raises(SourceError, match=r"hub/checkpoints, but"):
        torchvision_source("mobilenet_v3_small")


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_a_file_of_weights_is_used_with_the_input_transform_of_its_training(name):
    """Torchvision sets transform_input for its own weights; without it the embeddings have a cosine of 0.95."""
    from exporters.sources.torchvision_source import options_without_weights

    assert options_without_weights(name, "weights.pth")["transform_input"]
    assert not options_without_weights(name, "none")["transform_input"]
    assert "transform_input" not in options_without_weights("resnet18", "weights.pth")

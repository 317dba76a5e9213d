"""Sources of an export: which metric and centring the embedder of a checkpoint has."""

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("cv2")
pytestmark = pytest.mark.torch

from edgefs.checkpoint import load_checkpoint, new_method, save_checkpoint  # noqa: E402
from edgefs.data import spec_of  # noqa: E402
from edgefs.methods import config_of  # noqa: E402
from edgefs.sources import backbone_source, checkpoint_source, embedder_of  # noqa: E402
from runtime.errors import OptionError  # noqa: E402


@pytest.mark.parametrize(
    ("method", "metric"), [("protonet", "euclidean"), ("classifier", "cosine"), ("maml", "cosine")]
)
def test_an_embedder_keeps_the_metric_of_its_method_and_an_adapting_one_is_compared_by_cosine(tmp_path, method, metric):
    torch.manual_seed(0)
    options = {"n_classes": 5} if method == "classifier" else {}
    config, spec = config_of(method, data="omniglot", **options), spec_of("omniglot")
    network = new_method(config, spec)
    path = save_checkpoint(tmp_path / "a.safetensors", network, config, spec, base_mean=torch.ones(64))
    graph, preprocess = embedder_of(load_checkpoint(path))
    image = torch.randint(0, 256, (1, 28, 28, 1), dtype=torch.uint8)
    with torch.inference_mode():
        length = float(graph(image).norm())
    assert (length == pytest.approx(1, abs=1e-3)) == (metric == "cosine")
    assert preprocess == spec.preprocess
    assert checkpoint_source(path, size=32).preprocess.size == (32, 32)


def test_a_backbone_of_ours_has_no_default_weights():
    with pytest.raises(OptionError, match="--weights FILE"):
        backbone_source("conv4")

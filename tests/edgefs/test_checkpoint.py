"""Checkpoints: whole or refused, never half or wrong."""

import json

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from safetensors import safe_open  # noqa: E402
from safetensors.torch import save_file  # noqa: E402

from edgefs.checkpoint import load_checkpoint, load_state, new_method, save_checkpoint, save_state  # noqa: E402
from edgefs.data import spec_of  # noqa: E402
from edgefs.errors import CheckpointError, CheckpointMissing  # noqa: E402
from edgefs.methods import config_of  # noqa: E402

SPEC = spec_of("omniglot")


def saved(path, method="protonet", **options):
    torch.manual_seed(0)
    config = config_of(method, data="omniglot", **options)
    network = new_method(config, SPEC)
    save_checkpoint(
        path, network, config, SPEC, base_mean=torch.ones(network.backbone.dim), half=options.pop("half", False)
    )
    return network


def rewritten(path, *, card=None, tensors=None):
    with safe_open(str(path), framework="pt") as file:
        old_card = json.loads(file.metadata()["edgefs"])
        old = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file({**old, **(tensors or {})}, path, {"edgefs": json.dumps({**old_card, **(card or {})})})


@pytest.mark.parametrize(
    "options", [{}, {"distance": "cosine"}, {"method": "maml", "learn_rates": True}, {"method": "reptile"}]
)
def test_a_checkpoint_gives_back_the_network_and_how_to_feed_it(tmp_path, options):
    network = saved(tmp_path / "a.safetensors", **options)
    checkpoint = load_checkpoint(tmp_path / "a.safetensors")
    assert all(torch.equal(value, checkpoint.method.state_dict()[name]) for name, value in network.state_dict().items())
    assert checkpoint.spec == SPEC
    assert checkpoint.base_mean.tolist() == [1.0] * 64
    assert not checkpoint.method.training


def test_a_half_checkpoint_is_half_the_size_and_nearly_the_same(tmp_path):
    torch.manual_seed(0)
    config = config_of("protonet", data="omniglot")
    network = new_method(config, SPEC)
    full, half = (save_checkpoint(tmp_path / f"{h}.safetensors", network, config, SPEC, half=h) for h in (False, True))
    assert half.stat().st_size < 0.6 * full.stat().st_size
    for name, value in load_checkpoint(half).method.state_dict().items():
        assert torch.allclose(value, network.state_dict()[name], rtol=1e-3, atol=1e-4)


def test_a_flipped_bit_is_noticed(tmp_path):
    path = tmp_path / "a.safetensors"
    saved(path)
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="sha256"):
        load_checkpoint(path)


@pytest.mark.parametrize("keep", [0, 7, 500, -100])
def test_a_file_cut_short_is_noticed(tmp_path, keep):
    path = tmp_path / "a.safetensors"
    saved(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(path)


def test_a_newer_format_is_refused(tmp_path):
    saved(tmp_path / "a.safetensors")
    rewritten(tmp_path / "a.safetensors", card={"version": 2})
    with pytest.raises(CheckpointError, match="update edgefs"):
        load_checkpoint(tmp_path / "a.safetensors")


def test_another_architecture_is_refused_by_name(tmp_path):
    path = tmp_path / "a.safetensors"
    saved(path)
    with safe_open(str(path), framework="pt") as file:
        card = json.loads(file.metadata()["edgefs"])
    rewritten(path, card={"config": {**card["config"], "backbone": "conv4_32"}})
    with pytest.raises(CheckpointError, match="another architecture"):
        load_checkpoint(path)


def test_missing_and_foreign_files_are_refused(tmp_path):
    with pytest.raises(CheckpointMissing):
        load_checkpoint(tmp_path / "nothing.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    with pytest.raises(CheckpointError, match="must be a checkpoint of edgefs"):
        load_checkpoint(tmp_path / "foreign.safetensors")


def test_a_state_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("run",))

    torch.save({"version": 1, "x": Evil()}, tmp_path / "state.pt")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_state(tmp_path / "state.pt")


def test_a_state_of_another_format_is_refused(tmp_path):
    save_state(tmp_path / "state.pt", {"version": 9})
    with pytest.raises(CheckpointError, match="format 1"):
        load_state(tmp_path / "state.pt")

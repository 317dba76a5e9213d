"""Weights from files: the first wrong key is named, and nothing in a file is executed."""

import pickle

import pytest

pytestmark = pytest.mark.torch

torch = pytest.importorskip("torch")

from exporters.errors import SourceError  # noqa: E402
from exporters.sources.weights import load_weights  # noqa: E402


@pytest.fixture
def network():
    return torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Linear(3, 2))


@pytest.mark.parametrize(("change", "message"), [
    (lambda state: state.pop("0.weight"), r"0\.weight \(3, 4\) is not in the file"),
    (lambda state: state.update({"1.bias": torch.zeros(5)}), r"1\.bias is \(5,\) where \(2,\) is needed"),
    (lambda state: state.update({"2.bias": torch.zeros(1)}), r"2\.bias has no place"),
])  # fmt: skip
@pytest.mark.parametrize("kind", ["safetensors", "pth"])
def test_the_first_key_that_does_not_fit_is_named(network, tmp_path, change, message, kind):
    state = {key: tensor.half() for key, tensor in network.state_dict().items()}
    path = tmp_path / f"w.{kind}"
    save(state, path)
    facts = load_weights(network, path)
    assert facts["weights"] == path.name
    assert network[0].weight.dtype == torch.float32
    change(state)
    save(state, path)
    with pytest.raises(SourceError, match=message):
        load_weights(network, path)


def save(state, path):
    if path.suffix == ".pth":
        torch.save({"state_dict": {f"module.{key}": tensor for key, tensor in state.items()}}, path)
    else:
        pytest.importorskip("safetensors.torch").save_file(state, path)


class Attack:
    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize("content", [b"", b"nonsense", pickle.dumps(Attack())])
def test_a_weights_file_is_never_executed(network, tmp_path, content, capsys):
    for name in ("w.pth", "w.safetensors"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(SourceError, match="plain tensors"):
            load_weights(network, tmp_path / name)
    assert "executed" not in capsys.readouterr().out


def test_missing_files_and_other_content_are_named(network, tmp_path):
    with pytest.raises(SourceError, match=r"gone\.pth is not there"):
        load_weights(network, tmp_path / "gone.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(SourceError, match="state_dict"):
        load_weights(network, tmp_path / "list.pth")


PREFIXES = ["module.", "_orig_mod.", "model.", "module._orig_mod.", "model._orig_mod.", "_orig_mod.module."]


@pytest.mark.parametrize("prefix", ["", *PREFIXES])
@pytest.mark.parametrize("table", [None, "state_dict", "model_state_dict", "model"])
def test_prefixes_of_wrappers_and_tables_of_checkpoints_are_found(network, tmp_path, prefix, table):
    state = {f"{prefix}{key}": tensor + 1 for key, tensor in network.state_dict().items()}
    path = tmp_path / "w.pth"
    torch.save({table: state, "epoch": 3, "optimizer": {"lr": 0.1}} if table else state, path)
    expected = {key: tensor + 1 for key, tensor in network.state_dict().items()}
    load_weights(network, path)
    assert all(torch.equal(network.state_dict()[key], tensor) for key, tensor in expected.items())


def test_a_prefix_of_the_network_itself_stays(tmp_path):
    network = torch.nn.ModuleDict({"model": torch.nn.Linear(2, 2)})
    torch.save(network.state_dict(), tmp_path / "w.pth")
    load_weights(network, tmp_path / "w.pth")


@pytest.mark.parametrize("table", ["model_ema", "state_dict_ema"])
def test_the_moving_average_is_taken_only_when_asked_for(network, tmp_path, table):
    plain, average = ({key: torch.full_like(t, n) for key, t in network.state_dict().items()} for n in (1.0, 2.0))
    torch.save({"model": plain, table: average}, tmp_path / "w.pth")
    load_weights(network, tmp_path / "w.pth")
    assert network[0].weight[0, 0] == 1
    load_weights(network, f"{tmp_path}/w.pth@ema")
    assert network[0].weight[0, 0] == 2
    torch.save({"model": plain}, tmp_path / "w.pth")
    with pytest.raises(SourceError, match="must hold a moving average under one of model_ema"):
        load_weights(network, f"{tmp_path}/w.pth@ema")

import pytest

pytestmark = pytest.mark.torch


def opened(name, size=64, **options):
    from edgefs.networks import build
    from edgefs.transfer.stages import Unfreeze, stages_of

    backbone = build(name, channels=3, size=size)
    stages = stages_of(backbone, channels=3, size=size)
    return backbone, Unfreeze(backbone, stages, **{"norms_learn": True, **options})


@pytest.mark.parametrize(
    ("name", "n_stages", "last"),
    [
        ("torchvision:resnet18", 5, "network.layer4"),
        ("torchvision:mobilenet_v2", 5, "network.features.1"),  # features.14 to 18
        ("torchvision:mobilenet_v3_small", 6, "network.classifier"),
        ("conv4", 4, "blocks.3"),
    ],
)
def test_a_stage_is_what_runs_at_one_size_whatever_the_network(name, n_stages, last):
    backbone, unfreeze = opened(name)
    assert len(unfreeze.stages) == n_stages
    unfreeze.open(1)
    learning = [path for path, parameter in backbone.named_parameters() if parameter.requires_grad]
    assert learning
    assert all(path.startswith(last) for path in learning)


def test_every_parameter_belongs_to_one_stage_even_inside_an_attention():
    backbone, unfreeze = opened("torchvision:vit_b_32", size=224)
    found = [id(parameter) for group in unfreeze.groups(1e-3, 0.5) for parameter in group["params"]]
    assert sorted(found) == sorted(id(parameter) for parameter in backbone.parameters())


def test_lower_stages_learn_slower():
    _, unfreeze = opened("conv4")
    assert [group["lr"] for group in unfreeze.groups(1.0, 0.5)] == [0.0625, 0.125, 0.25, 0.5]


@pytest.mark.parametrize(
    ("norms_learn", "n_open", "expected"), [(True, 4, 4), (True, 1, 1), (False, 4, 0), (True, 0, 0)]
)
def test_frozen_norms_keep_their_statistics(norms_learn, n_open, expected):
    backbone, unfreeze = opened("conv4", norms_learn=norms_learn)
    unfreeze.open(n_open)
    unfreeze.train_mode()
    assert sum(block.norm.training for block in backbone.blocks) == expected


def test_gradual_unfreezing_opens_one_stage_after_the_other(small_config, monkeypatch):
    from edgefs.transfer.finetune import finetune
    from edgefs.transfer.stages import Unfreeze

    seen = []
    monkeypatch.setattr(
        Unfreeze, "open", lambda self, n_open, really=Unfreeze.open: (seen.append(n_open), really(self, n_open))
    )
    finetune(small_config(epochs=5, unfreeze_every=2, trainable="last:2"), quiet=True)
    assert seen == [2, 0, 0, 1, 1, 2]  # what is asked for, then epoch by epoch

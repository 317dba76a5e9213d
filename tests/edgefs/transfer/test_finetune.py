import json
from dataclasses import replace

import pytest

from edgefs.errors import CheckpointError, ConfigError, DataCorrupt, DataError, NotFinite

pytestmark = pytest.mark.torch


def test_a_network_learns_the_classes_and_leaves_everything_a_person_needs(small_config):
    from edgefs import finetune

    config = small_config(epochs=15, augment=("shift",), mixup=0.2, balance="sampler")
    report = finetune(config, quiet=True)
    assert report.test.mean > 80
    assert report.nearest_mean.mean > 80
    assert report.images == {"train": 18, "val": 6, "test": 6}
    assert 0 <= report.waiting < 1
    out = report.best.parent
    for name in ("best.safetensors", "split.csv", "report.json", "confusion.png", "confusion.csv", "curves.png"):
        assert (out / name).stat().st_size, name
    told = json.loads((out / "report.json").read_text())
    assert told["test"]["mean"] == report.test.mean
    assert str(out.parent) not in (out / "report.json").read_text()


def test_a_checkpoint_opens_in_evaluate_and_carries_no_folder_of_this_machine(small_config, tmp_path):
    from edgefs import evaluate, finetune
    from edgefs.checkpoint import load_checkpoint

    config = small_config()
    report = finetune(config, quiet=True)
    checkpoint = load_checkpoint(report.best)
    assert checkpoint.config.classes == ("ant", "bee", "cat")
    assert str(tmp_path) not in json.dumps(dict(checkpoint.card))
    found = evaluate(report.best, data="folder", root=config.root, ways=(3,), shots=(1,), n_query=3, n_episodes=20)
    assert {head for head, _ in found.accuracies} == {"UN", "L2N", "CL2N"}


@pytest.mark.parametrize("trainable", ["head", "last:1", "all"])
def test_only_what_the_policy_names_is_changed(small_config, trainable):
    import torch

    from edgefs.checkpoint import load_checkpoint
    from edgefs.transfer.finetune import finetune

    first = finetune(small_config(epochs=1), quiet=True).best
    config = small_config(
        init_from=str(first), out=str(first.parent / "next"), trainable=trainable, lr=1e-3, val_share=0
    )
    before = load_checkpoint(first).method.state_dict()
    after = load_checkpoint(finetune(config, quiet=True).best).method.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    of_backbone = {name.removeprefix("backbone.").split(".")[0] for name in changed if name.startswith("backbone")}
    everything = {"conv1", "norm1", "conv2", "norm2", "full", "norm3"}
    assert of_backbone == {"head": set(), "last:1": {"full", "norm3"}, "all": everything}[trainable]
    assert not any("running" in name for name in changed)  # trained weights keep their statistics


def test_a_rate_that_diverges_stops_keeps_the_best_and_says_what_to_try(small_config, tmp_path):
    from edgefs.checkpoint import load_checkpoint
    from edgefs.transfer.finetune import finetune

    with pytest.raises(NotFinite, match=r"diverged.*best\.safetensors.*--lr"):
        finetune(small_config(lr=1e6, batch=4), quiet=True)
    assert load_checkpoint(tmp_path / "run" / "best.safetensors")


def test_unreadable_pictures_are_named_or_left_out(small_config, write_pictures, tmp_path):
    from edgefs.transfer.finetune import finetune

    root = write_pictures(tmp_path / "pictures")
    (root / "ant" / "00.png").write_bytes(b"not a picture")
    with pytest.raises(DataCorrupt, match=r"ant/00\.png"):
        finetune(small_config(root=root), quiet=True)
    report = finetune(small_config(root=root, bad_files="skip", out=str(tmp_path / "skipped")), quiet=True)
    assert [name.rsplit("/", 1)[1] for name in report.skipped] == ["00.png"]
    assert sum(report.images.values()) == 29


def test_weights_of_another_architecture_name_the_first_key_that_does_not_fit(small_config, tmp_path):
    import torch
    from torchvision.models import resnet18

    from edgefs.transfer.finetune import finetune
    from exporters.errors import SourceError

    torch.save(resnet18(weights=None).state_dict(), tmp_path / "resnet18.pth")
    options = {"backbone": "mobilenet_v2", "weights": str(tmp_path / "resnet18.pth"), "size": 32}
    with pytest.raises(SourceError, match=r"features\.0\.0\.weight \(32, 3, 3, 3\) is not in the file"):
        finetune(small_config(**options), quiet=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"trainable": "last:9"}, "at most last:"),
        ({"method": "features"}, "trained weights"),
        ({"schedule": "plateau", "val_share": 0}, "validation images"),
        ({"augment": ("blur",)}, "augment must be among"),
    ],
)
def test_options_that_cannot_work_are_refused(small_config, options, message):
    from edgefs.transfer.finetune import finetune

    with pytest.raises(ConfigError, match=message):
        finetune(small_config(**options), quiet=True)


def test_a_folder_of_one_class_is_refused(small_config, write_pictures, tmp_path):
    from edgefs.transfer.finetune import finetune

    with pytest.raises(DataError, match="at least two classes"):
        finetune(small_config(root=write_pictures(tmp_path / "one", names=("ant",))), quiet=True)


def test_keyword_arguments_are_laid_over_the_defaults_of_the_method(small_config, capsys):
    from edgefs import finetune

    config = small_config()
    options = {"root": config.root, "out": config.out, "backbone": "lenet", "size": 16, "threads": 1, "epochs": 1}
    assert finetune(**options, bundle=True).test.n == 6
    assert "enrolled 18 of 18 pictures" in capsys.readouterr().err


def test_meta_training_starts_from_a_finetuned_network_and_fine_tuning_from_a_meta_trained_one(
    small_config, write_pictures, tmp_path
):
    from edgefs import finetune, train
    from edgefs.methods import config_of

    tuned = finetune(small_config(), quiet=True).best
    root = write_pictures(tmp_path / "many", names=[f"class{i}" for i in range(15)], n_images=8)
    meta = config_of(
        "protonet", data="folder", root=str(root), out=str(tmp_path / "meta"), backbone="lenet", init_from=str(tuned),
        n_way=3, val_way=3, n_query=3, val_query=3, val_episodes=20, steps=4, val_every=2, threads=1, bf16=False,
    )  # fmt: skip
    best = train(meta, quiet=True).best
    report = finetune(small_config(init_from=str(best), out=str(tmp_path / "back")), quiet=True)
    assert report.test.mean > 50
    with pytest.raises(CheckpointError, match="of another architecture"):
        train(replace(meta, backbone="conv4", out=str(tmp_path / "no")), quiet=True)

"""Augmentation: which images change, and that the same random numbers change them alike."""

import numpy as np
import pytest

from edgefs.errors import ConfigError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


def images():
    return torch.randn(12, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_every_augmentation_keeps_the_shape_and_depends_only_on_the_generator():
    from edgefs.data.augment import AUGMENTS

    for change in AUGMENTS.values():
        once, again = (change(images(), (2, 3, 2), np.random.default_rng(1)) for _ in range(2))
        assert once.shape == images().shape
        assert torch.equal(once, again)


def test_mirror_changes_whole_episodes_and_flip_single_images():
    from edgefs.data.augment import flip, mirror

    whole = (mirror(images(), (4, 3, 1), np.random.default_rng(1)) != images()).flatten(1).any(dim=1).view(4, 3)
    assert (whole.all(dim=1) | ~whole.any(dim=1)).all()
    single = (flip(images(), (4, 3, 1), np.random.default_rng(1)) != images()).flatten(1).any(dim=1)
    assert 0 < int(single.sum()) < 12


def test_an_unknown_augmentation_is_named_with_those_there_are():
    from edgefs.data.augment import AUGMENTS, augments_of

    with pytest.raises(ConfigError, match=r"mirror, flip, shift, warp, colour, but has \['blur'\]"):
        augments_of(["blur"])
    assert augments_of(["colour", "mirror"]) == [AUGMENTS["mirror"], AUGMENTS["colour"]]


def test_the_help_of_the_commands_names_every_augmentation():
    from edgefs.data.augment import AUGMENTS
    from edgefs.methods import METHODS
    from edgefs.methods.options import facts_of

    assert all(name in facts_of(METHODS["protonet"], "augment")["help"] for name in AUGMENTS)

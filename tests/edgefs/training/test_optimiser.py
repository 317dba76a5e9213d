"""The course of the learning rate."""

import pytest

from edgefs.methods import config_of

pytestmark = pytest.mark.torch


def test_schedules_start_at_the_rate_and_end_at_nothing():
    from edgefs.training.optimiser import learning_rate

    for schedule, end in (("cosine", 0), ("linear", 0), ("constant", 1)):
        config = config_of("protonet", data="folder", lr=1.0, schedule=schedule, steps=1000, warmup=10)
        assert learning_rate(config, 0) == pytest.approx(0.1)
        assert learning_rate(config, 10) == pytest.approx(1.0)
        assert learning_rate(config, 999) == pytest.approx(end, abs=0.01)

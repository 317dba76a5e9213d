"""The choice among engines that verified. What opening promises for every engine is in tests/contract."""

from runtime.engines.fake import FakeEngine
from runtime.engines.opening import choose


def test_an_engine_that_opens_later_must_be_clearly_faster_to_be_chosen():
    sooner, later = FakeEngine(8), FakeEngine(8)
    assert choose([(3.0, sooner), (2.8, later)]) is sooner
    assert choose([(3.0, sooner), (2.5, later)]) is later
    assert choose([(3.0, sooner), (2.8, later), (2.6, FakeEngine(8))]) is not sooner

"""A bundle is built again with some of its parts changed."""

import json

import numpy as np
import pytest

from exporters.rebuilt import extra_files, rebuilt
from runtime.bundle import Bundle
from runtime.errors import BundleError


def test_a_bundle_without_changes_is_the_same_to_the_bit(tiny_bundle):
    again = rebuilt(tiny_bundle)
    assert json.dumps(again.manifest, sort_keys=True) == json.dumps(tiny_bundle.manifest, sort_keys=True)
    assert {name: again.read(name) for name in again.manifest["files"]} == {
        name: tiny_bundle.read(name) for name in tiny_bundle.manifest["files"]
    }


def test_only_what_is_named_changes(tiny_bundle):
    cohort = np.ones((3, tiny_bundle.dim), np.float32)
    made = rebuilt(tiny_bundle, cohort=cohort, calibration=None, extra={"MODEL_CARD.md": b"# Card"}, name="other")
    np.testing.assert_array_equal(made.cohort(), cohort)
    assert (made.calibration, made.name) == (None, "other")
    assert extra_files(made) == {"MODEL_CARD.md": b"# Card"}
    assert extra_files(rebuilt(made)) == extra_files(made)
    assert made.fingerprint == tiny_bundle.fingerprint
    assert made.artifacts == tiny_bundle.artifacts


def test_a_part_that_no_bundle_may_have_is_refused(tiny_bundle: Bundle):
    with pytest.raises(BundleError):
        rebuilt(tiny_bundle, metric="taste")

"""A torch head answers as the classifier that scikit-learn fitted."""

import numpy as np
import pytest

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("head", ["logistic", "linear", "mlp", "mean"])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_torch_answers_as_the_head_that_scikit_learn_fitted(head, n_classes):
    import torch

    from edgefs.methods import FinetuneConfig
    from edgefs.networks import build
    from edgefs.networks.linear_head import fit_head, load_head

    config = FinetuneConfig(root=".", head=head, classes=tuple("abc"[:n_classes]))
    learner = config.build(build("lenet", channels=1, size=16))
    rng = np.random.default_rng(0)
    labels = np.arange(60) % n_classes
    features = (rng.normal(size=(60, 500)) * rng.uniform(0.1, 3, 500) + labels[:, None]).astype(np.float32)
    fitted = fit_head(head, features, labels, balanced=True, seed=0)
    load_head(learner.head, fitted)
    with torch.inference_mode():
        answers = learner.head(torch.from_numpy(features)).argmax(dim=1).numpy()
    assert (answers == fitted.predict(features)).all()

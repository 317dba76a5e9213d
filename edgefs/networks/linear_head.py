"""Classifiers on frozen features: scikit-learn fits them, and a torch head is given the same weights.

logistic: logistic regression.  linear: ridge.  mlp: one hidden layer.  mean: nearest class mean.
The features are standardised; the scaling is folded into the first layer.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edgefs.networks.classifier import HIDDEN

# chosen on splits that no published figure comes from
LOGISTIC_C = 0.01
RIDGE_ALPHA = 1000.0


def fit_head(name: str, features: NDArray[np.float32], labels: NDArray[np.int64], *, balanced: bool, seed: int) -> Any:
    """Fit a scikit-learn pipeline.

    Args:
        name: logistic, linear, mlp or mean.
        features: `float32 [N, D]`.
        labels: `int64 [N]`, with every class in it.
        balanced: Weigh rare classes up (logistic and linear).
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, RidgeClassifier
    from sklearn.neighbors import NearestCentroid
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    weight = "balanced" if balanced else None
    last = {
        "logistic": lambda: LogisticRegression(C=LOGISTIC_C, max_iter=500, class_weight=weight),
        "linear": lambda: RidgeClassifier(alpha=RIDGE_ALPHA, class_weight=weight),
        "mlp": lambda: MLPClassifier((HIDDEN,), alpha=1.0, max_iter=400, random_state=seed),
        "mean": NearestCentroid,
    }[name]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # stopping early only penalises a little more
        return make_pipeline(StandardScaler(), last).fit(features.astype(np.float64), labels)


def load_head(head: nn.Module, pipeline: Any) -> None:
    """Copy the weights that scikit-learn fitted into a head of `edgefs.networks.classifier`."""
    scaler, last = pipeline[0], pipeline[-1]
    if hasattr(last, "coefs_"):
        layers = [(w.T, b) for w, b in zip(last.coefs_, last.intercepts_, strict=True)]
    elif hasattr(last, "centroids_"):  # -|x - c|² / 2 without the term that all classes share
        layers = [(last.centroids_, -(last.centroids_**2).sum(axis=1) / 2)]
    else:
        layers = [(np.atleast_2d(last.coef_), np.atleast_1d(last.intercept_))]
    if len(layers[-1][0]) == 1:  # for two classes scikit-learn scores only the second
        weight, bias = layers[-1]
        layers[-1] = np.concatenate([0 * weight, weight]), np.array([0.0, bias[0]])
    weight, bias = layers[0]
    layers[0] = weight / scaler.scale_, bias - weight @ (scaler.mean_ / scaler.scale_)
    linear = [module for module in head.modules() if isinstance(module, nn.Linear)]
    with torch.no_grad():
        for module, (weight, bias) in zip(linear, layers, strict=True):
            module.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
            module.bias.copy_(torch.from_numpy(np.ascontiguousarray(bias)))

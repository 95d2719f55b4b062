"""Distances from training features, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.covariance import LedoitWolf
from sklearn.neighbors import NearestNeighbors

from polytask.trust.inputs.trunk_reference import TrunkReference


@pytest.mark.parametrize(("count", "features"), [(60, 8), (30, 50)])
def test_distances_are_those_of_scikit_learn(count: int, features: int) -> None:
    random = np.random.default_rng(count)
    mixed = random.normal(size=(features, features))
    classes = np.arange(count) % 3
    vectors = random.normal(size=(count, features)) @ mixed + 2.0 * classes[:, None] + 7.0
    labels = np.where(np.arange(count) < 4, -1, classes)
    reference = TrunkReference.fit(vectors, {"grade": labels, "alone": np.zeros(count, np.int64)})
    assert set(reference.classes) == {"grade"}, "a task of one class tells nothing"
    scaled = (vectors - vectors.mean(0)) / vectors.std(0)
    new = random.normal(size=features) @ mixed
    x = (new - vectors.mean(0)) / vectors.std(0)
    far = LedoitWolf(assume_centered=True).fit(scaled).mahalanobis(x[None])[0]
    means = [scaled[labels == k].mean(0) for k in range(3)]
    residuals = np.concatenate([scaled[labels == k] - means[k] for k in range(3)])
    within = LedoitWolf(assume_centered=True).fit(residuals)
    nearest = min(within.mahalanobis((x - mean)[None])[0] for mean in means)
    neighbor = NearestNeighbors(n_neighbors=5).fit(scaled).kneighbors(x[None])[0][0, -1]
    measured = reference.measure(new)
    assert measured == pytest.approx(
        {"mahalanobis": far, "relative": nearest - far, "neighbors": neighbor}, rel=1e-6
    )


def test_features_that_never_vary_do_no_harm() -> None:
    random = np.random.default_rng(0)
    vectors = np.concatenate([random.normal(size=(20, 3)), np.full((20, 2), 5.0)], 1)
    measured = TrunkReference.fit(vectors, {}).measure(vectors[0])
    assert set(measured) == {"mahalanobis", "neighbors"}
    assert np.isfinite(list(measured.values())).all()

"""Columns on one scale, exactly restored."""

import numpy as np
import pytest

from modeling.core.feature_scaler import FeatureScaler
from modeling.core.types import InvalidInputError


def test_scaled_columns_have_mean_zero_and_unit_spread() -> None:
    features = np.random.default_rng(0).normal(5.0, 3.0, size=(400, 4)).astype(np.float32)
    scaled = FeatureScaler().fit(features).transform(features)
    np.testing.assert_allclose(scaled.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(scaled.std(axis=0), 1.0, rtol=1e-5)


@pytest.mark.parametrize("constant", [0.0, 3.3, 1e7])
def test_a_constant_column_becomes_zero(constant: float) -> None:
    features = np.full((1000, 1), constant, dtype=np.float32)
    scaled = FeatureScaler().fit(features).transform(features)
    np.testing.assert_array_equal(scaled, 0.0)


def test_a_scaler_survives_its_arrays_exactly() -> None:
    features = np.random.default_rng(0).random((9, 3)).astype(np.float32)
    scaler = FeatureScaler().fit(features)
    restored = FeatureScaler.from_arrays(*scaler.to_arrays())
    np.testing.assert_array_equal(restored.transform(features), scaler.transform(features))


def test_a_scaler_refuses_other_columns() -> None:
    scaler = FeatureScaler().fit([[1.0, 2.0]])
    with pytest.raises(InvalidInputError, match="features has 1 columns; the scaler knows 2"):
        scaler.transform([[1.0]])


def test_a_scaler_needs_a_row() -> None:
    with pytest.raises(InvalidInputError, match="features has no rows"):
        FeatureScaler().fit(np.empty((0, 3)))

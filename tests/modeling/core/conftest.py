"""Preferences drawn from a known reward, for tests that ask whether it is found again."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from modeling.core.types import FloatArray, PairwiseData

Planter = Callable[..., tuple[PairwiseData, FloatArray]]


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    """Keep torch to one thread: its barriers are slow on cores shared with other processes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def plant() -> Planter:
    """Give a function that draws pairs from a linear reward and returns both."""

    def draw(
        seed: int = 0,
        *,
        n_pairs: int = 600,
        n_features: int = 8,
        n_prompts: int = 120,
        strength: float = 2.0,
    ) -> tuple[PairwiseData, FloatArray]:
        rng = np.random.default_rng(seed)
        features = rng.standard_normal((2 * n_pairs, n_features)).astype(np.float32)
        weights = strength * rng.standard_normal(n_features) / np.sqrt(n_features)
        first, second = np.arange(n_pairs) * 2, np.arange(n_pairs) * 2 + 1
        logit = (features[first] - features[second]) @ weights
        target = (rng.random(n_pairs) < 1 / (1 + np.exp(-logit))).astype(np.float64)
        prompt = rng.integers(n_prompts, size=n_pairs)
        data = PairwiseData(features, first, second, target, np.ones(n_pairs), prompt)
        return data, weights

    return draw

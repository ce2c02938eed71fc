import numpy as np

from routing.core.acquisition import STRATEGIES, AcquisitionInputs
from routing.core.arrays import FloatArray

K_CENTER = STRATEGIES["k_center-v1"]


def on_a_line(places: list[float], acquired: list[int]) -> AcquisitionInputs:
    open_ = np.flatnonzero(np.array(acquired) == 0)
    return AcquisitionInputs(
        len(open_),
        open_,
        prompt_embeddings=np.array(places)[:, None],
        acquired_count=np.array(acquired),
        tie_hash=np.arange(len(open_), dtype=np.uint64),
    )


def test_the_farthest_prompt_comes_first() -> None:
    inputs = on_a_line([0.0, 1.0, 10.0], [1, 0, 0])
    chosen = K_CENTER.select(inputs, 2, np.random.default_rng(0))
    assert inputs.prompt[chosen.indices].tolist() == [2, 1]
    np.testing.assert_allclose(chosen.utilities, [10.0, 1.0])


def test_without_labels_it_begins_in_the_middle() -> None:
    inputs = on_a_line([0.0, 5.0, 11.0], [0, 0, 0])
    assert K_CENTER.select(inputs, 3, np.random.default_rng(0)).indices.tolist() == [1, 2, 0]


def covering_radius(points: FloatArray, centres: list[int]) -> float:
    gaps = np.linalg.norm(points[:, None] - points[centres], axis=2)
    return float(gaps.min(axis=1).max())


def test_its_radius_is_within_twice_the_best_of_many_random_covers() -> None:
    points = np.random.default_rng(0).standard_normal((60, 2))
    inputs = AcquisitionInputs(60, np.arange(60), prompt_embeddings=points)
    greedy = K_CENTER.select(inputs, 5, np.random.default_rng(0)).indices.tolist()
    rng = np.random.default_rng(1)
    random = min(covering_radius(points, rng.permutation(60)[:5].tolist()) for _ in range(2000))
    assert covering_radius(points, greedy) <= 2 * random


def test_within_a_prompt_the_most_informative_candidate_is_asked() -> None:
    level = np.array([0.1, 3.0, 0.2, 0.1])
    inputs = AcquisitionInputs(
        4,
        np.array([0, 0, 1, 1]),
        logits=np.stack([level, -level]),
        prompt_embeddings=np.array([[0.0], [9.0]]),
        per_prompt_cap=1,
    )
    chosen = K_CENTER.select(inputs, 2, np.random.default_rng(0)).indices
    assert sorted(chosen.tolist()) == [1, 2]

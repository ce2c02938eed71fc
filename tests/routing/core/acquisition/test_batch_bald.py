from itertools import product

import numpy as np
import pytest
from scipy.special import expit, logit

from routing.core.acquisition import STRATEGIES, AcquisitionInputs
from routing.core.acquisition.bald import mutual_information
from routing.core.acquisition.batch_bald import JointInformation
from routing.core.arrays import FloatArray

BATCH_BALD = STRATEGIES["batch_bald-v1"]


def information_of(logits: FloatArray, rows: list[int], max_outcomes: int = 1024) -> float:
    joint = JointInformation(logits, np.random.default_rng(0), max_outcomes)
    for row in rows[:-1]:
        joint.add(row)
    return float(joint.of(np.array(rows[-1:]))[0])


def literal(logits: FloatArray, rows: list[int]) -> float:
    """List all outcomes of the batch under every member."""
    p = expit(logits[:, rows])
    outcomes = np.array(list(product([0, 1], repeat=len(rows))))
    joint = np.prod(np.where(outcomes[:, None], p, 1 - p), axis=2)
    marginal = joint.mean(axis=1)
    given_member = -(joint * np.log(joint)).sum(axis=0).mean()
    return float(-(marginal * np.log(marginal)).sum() - given_member)


def test_a_copy_adds_less_than_its_own_information() -> None:
    z = logit(np.array([[0.9, 0.9], [0.1, 0.1]]))
    assert information_of(z, [0, 1]) == pytest.approx(0.514375, abs=1e-6)
    assert 2 * mutual_information(z)[0] == pytest.approx(0.736128, abs=1e-6)


def test_independent_questions_add_up() -> None:
    z = logit(np.array([[0.9, 0.9], [0.9, 0.1], [0.1, 0.9], [0.1, 0.1]]))
    assert information_of(z, [0, 1]) == pytest.approx(0.736128, abs=1e-6)


@pytest.mark.parametrize("n_rows", [1, 3, 6])
def test_the_joint_information_equals_the_list_of_all_outcomes(n_rows: int) -> None:
    z = 2 * np.random.default_rng(n_rows).standard_normal((5, 8))
    rows = list(range(n_rows))
    assert information_of(z, rows) == pytest.approx(literal(z, rows), abs=1e-10)


def test_sampled_outcomes_come_close_to_the_list() -> None:
    z = 2 * np.random.default_rng(0).standard_normal((6, 10))
    rows = list(range(10))
    draws = [sampled_information(z, rows, seed) for seed in range(40)]
    assert np.mean(draws) == pytest.approx(literal(z, rows), abs=0.03)


def sampled_information(z: FloatArray, rows: list[int], seed: int) -> float:
    joint = JointInformation(z, np.random.default_rng(seed), max_outcomes=256)
    for row in rows:
        joint.add(row)
    return joint.current()


def test_information_never_exceeds_the_log_of_the_members() -> None:
    z = 50 * np.random.default_rng(1).standard_normal((3, 10))
    assert information_of(z, list(range(8))) <= np.log(3) + 1e-9


def test_an_empty_batch_has_no_information() -> None:
    assert JointInformation(np.ones((2, 3)), np.random.default_rng(0)).current() == 0.0


def pool(n_members: int = 5, n: int = 700) -> AcquisitionInputs:
    z = 2 * np.random.default_rng(0).standard_normal((n_members, n))
    return AcquisitionInputs(n, np.arange(n), logits=z, tie_hash=np.arange(n, dtype=np.uint64))


def test_the_first_pick_is_that_of_bald() -> None:
    first, bald = (
        STRATEGIES[s].select(pool(), 1, np.random.default_rng(0)).indices[0]
        for s in ("batch_bald-v1", "bald-v1")
    )
    assert first == bald


def test_looking_at_bounds_first_changes_no_pick() -> None:
    # 700 candidates are two blocks; a full scan of all of them must agree.
    inputs = pool()
    joint = JointInformation(np.asarray(inputs.logits), np.random.default_rng(0))
    expected: list[int] = []
    for _ in range(4):
        gain = joint.of(np.arange(700))
        gain[expected] = -np.inf
        expected.append(int(gain.argmax()))
        joint.add(expected[-1])
    assert BATCH_BALD.select(inputs, 4, np.random.default_rng(0)).indices.tolist() == expected


def test_candidates_alike_in_several_blocks_come_by_their_hash() -> None:
    z = np.tile([[2.0], [-2.0]], (1, 600))
    inputs = AcquisitionInputs(
        600, np.arange(600), logits=z, tie_hash=np.arange(600, dtype=np.uint64)
    )
    chosen = BATCH_BALD.select(inputs, 3, np.random.default_rng(0))
    assert chosen.indices.tolist() == [0, 1, 2]
    assert (np.diff(chosen.utilities) < 0).all()


@pytest.mark.parametrize(
    ("n_members", "batch_size", "n_warnings"), [(5, 4, 1), (100, 4, 0), (100, 17, 1)]
)
def test_few_members_or_a_large_batch_raise_a_warning(
    n_members: int, batch_size: int, n_warnings: int
) -> None:
    chosen = BATCH_BALD.select(pool(n_members, 60), batch_size, np.random.default_rng(0))
    assert len(chosen.warnings) == n_warnings

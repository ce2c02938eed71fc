import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from routing.core.acquisition import STRATEGIES, AcquisitionInputs
from routing.core.acquisition.bald import mutual_information
from routing.core.acquisition.epig import expected_predictive_information_gain
from routing.core.arrays import RoutingInputError


def literal(z: list[float], target: list[float]) -> float:
    """Sum the definition over the four outcomes of one pair."""
    p, q = expit(np.array(z)), expit(np.array(target))
    total = 0.0
    for mine in (p, 1 - p):
        for theirs in (q, 1 - q):
            joint = (mine * theirs).mean()
            total += joint * np.log(joint / (mine.mean() * theirs.mean()))
    return float(total)


members = st.lists(st.floats(-3, 3), min_size=4, max_size=4)


@given(members, members)
def test_the_gain_equals_the_definition(z: list[float], target: list[float]) -> None:
    gain = expected_predictive_information_gain(np.array([z]).T, np.array([target]).T)
    assert gain[0] == pytest.approx(literal(z, target), abs=1e-12)


@given(members, members)
def test_the_gain_is_symmetric_in_candidate_and_target(z: list[float], target: list[float]) -> None:
    a, b = np.array([z]).T, np.array([target]).T
    here, there = (expected_predictive_information_gain(x, y)[0] for x, y in ((a, b), (b, a)))
    assert here == pytest.approx(there, abs=1e-12)


def test_a_target_nobody_doubts_makes_every_question_worthless() -> None:
    z = np.random.default_rng(0).standard_normal((5, 8))
    gain = expected_predictive_information_gain(z, np.full((5, 3), 1.3))
    np.testing.assert_allclose(gain, 0.0, atol=1e-12)


def test_the_gain_never_exceeds_the_information_of_the_label() -> None:
    rng = np.random.default_rng(1)
    z, target = rng.standard_normal((5, 50)), rng.standard_normal((5, 30))
    assert (expected_predictive_information_gain(z, target) <= mutual_information(z)).all()


def test_questions_about_the_targets_come_before_others() -> None:
    # Candidate 0 splits the members as the targets do, candidate 1 the other way and harder.
    z = logit(np.array([[0.8, 0.95], [0.8, 0.05], [0.2, 0.95], [0.2, 0.05]]))
    inputs = AcquisitionInputs(2, np.arange(2), logits=z, target_logits=z[:, [0, 0]])
    assert STRATEGIES["bald-v1"].select(inputs, 1, np.random.default_rng(0)).indices[0] == 1
    assert STRATEGIES["epig-v1"].select(inputs, 1, np.random.default_rng(0)).indices[0] == 0


def test_members_must_match() -> None:
    with pytest.raises(RoutingInputError, match="target_logits has shape"):
        expected_predictive_information_gain(np.zeros((2, 3)), np.zeros((4, 3)))

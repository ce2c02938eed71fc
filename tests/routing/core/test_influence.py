import numpy as np
import pytest

from routing.core.arrays import FloatArray, RoutingInputError
from routing.core.influence import (
    TrustedSet,
    expected_label_change,
    label_influence,
    least_squares_weights,
    smooth_performance,
)

World = tuple[FloatArray, FloatArray, TrustedSet]


@pytest.fixture(scope="module")
def world() -> World:
    rng = np.random.default_rng(0)
    phi = rng.standard_normal((80, 4))
    label = np.where(rng.random(80) < 0.5, 1.0, -1.0)
    dev = rng.standard_normal((60, 4))
    trusted = TrustedSet(dev, np.sign(dev @ [1.0, -2.0, 0.5, 0.0]), rng.integers(3, size=60))
    return phi, label, trusted


def test_the_head_solves_the_normal_equations(world: World) -> None:
    phi, label, _ = world
    head = least_squares_weights(phi, label, prior_precision=0.3)
    np.testing.assert_allclose(phi.T @ (label - phi @ head) / 80, 0.3 * head, atol=1e-12)


def test_many_heads_equal_one_at_a_time(world: World) -> None:
    phi, label, _ = world
    both = least_squares_weights(phi, np.column_stack([label, -label]), prior_precision=0.3)
    np.testing.assert_allclose(both[:, 1], least_squares_weights(phi, -label, prior_precision=0.3))


@pytest.mark.parametrize("step", [1e-2, 1e-4, 1e-6])
def test_the_gradient_of_the_smooth_performance_agrees_with_differences(
    step: float, world: World
) -> None:
    trusted = world[2]
    head = np.array([0.3, -0.2, 0.1, 0.05])
    gradient = smooth_performance(head, trusted, temperature=0.5)[1]
    numeric = [
        (
            smooth_performance(head + step * unit, trusted, temperature=0.5)[0]
            - smooth_performance(head - step * unit, trusted, temperature=0.5)[0]
        )
        / (2 * step)
        for unit in np.eye(4)
    ]
    np.testing.assert_allclose(gradient, numeric, atol=max(step**2, 1e-8))


@pytest.mark.parametrize("step", [1e-2, 1e-3, 1e-5])
def test_influence_is_the_derivative_of_performance_in_each_label(
    step: float, world: World
) -> None:
    phi, label, trusted = world
    influence = label_influence(
        phi, label, trusted, np.ones(80), prior_precision=0.1, temperature=0.4
    )

    def performance(labels: FloatArray) -> float:
        head = least_squares_weights(phi, labels, prior_precision=0.1)
        return smooth_performance(head, trusted, temperature=0.4)[0]

    numeric = [
        (performance(label + step * unit) - performance(label - step * unit)) / (2 * step)
        for unit in np.eye(80)[:10]
    ]
    np.testing.assert_allclose(influence[:10], numeric, atol=max(step**2, 1e-9))


def test_smooth_performance_becomes_accuracy_as_the_step_narrows(world: World) -> None:
    trusted = world[2]
    head = np.array([1.0, -1.0, 0.0, 0.0])
    right = trusted.label * (np.asarray(trusted.differences) @ head) > 0
    by_category = [right[trusted.category == c].mean() for c in range(3)]
    smooth = smooth_performance(head, trusted, temperature=1e-9)[0]
    assert smooth == pytest.approx(float(np.mean(by_category)))


def test_labels_that_stay_have_no_influence(world: World) -> None:
    phi, label, trusted = world
    change = np.where(np.arange(80) < 5, 1.0, 0.0)
    influence = label_influence(phi, label, trusted, change, prior_precision=0.1)
    assert (influence[5:] == 0).all()
    assert (influence[:5] != 0).all()


def test_correcting_wrong_labels_is_worth_more_than_spoiling_right_ones() -> None:
    rng = np.random.default_rng(1)
    phi, dev = rng.standard_normal((400, 5)), rng.standard_normal((300, 5))
    truth, theta = np.sign(phi @ np.arange(1.0, 6.0)), np.arange(1.0, 6.0)
    judge = np.where(rng.random(400) < 0.3, -truth, truth)
    trusted = TrustedSet(dev, np.sign(dev @ theta), np.zeros(300, int))
    influence = label_influence(phi, judge, trusted, -2 * judge, prior_precision=0.01)
    assert influence[judge != truth].mean() > 0 > influence[judge == truth].mean()


def test_curvature_weighs_the_gram_matrix(world: World) -> None:
    phi, label, _ = world
    curvature = np.random.default_rng(0).uniform(0.1, 0.25, 80)
    head = least_squares_weights(phi, label, prior_precision=0.2, curvature=curvature)
    gram = phi.T @ (curvature[:, None] * phi) / 80 + 0.2 * np.eye(4)
    np.testing.assert_allclose(gram @ head, phi.T @ label / 80)


def test_the_expected_change_is_minus_twice_the_label_times_the_probability() -> None:
    np.testing.assert_allclose(
        expected_label_change([1.0, -1.0, 0.0], [0.25, 0.5, 0.9]), [-0.5, 1.0, 0.0]
    )


def test_where_the_judge_says_tie_people_are_expected_on_the_side_of_their_own_head() -> None:
    # logit(.75) = ln 3: the first response with .75, so .9 * (2 * .75 - 1).
    change = expected_label_change([0.0, 0.0, 1.0], [0.9, 0.5, 0.25], [np.log(3.0), 0.0, -9.0])
    np.testing.assert_allclose(change, [0.45, 0.0, -0.5])


@pytest.mark.parametrize(("label", "chance"), [([2.0], [0.5]), ([1.0], [1.5])])
def test_labels_and_probabilities_out_of_range_are_refused(
    label: list[float], chance: list[float]
) -> None:
    with pytest.raises(RoutingInputError, match="must lie in"):
        expected_label_change(label, chance)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"prior_precision": 0.0}, "prior_precision is 0"),
        ({"prior_precision": 1.0, "temperature": 0.0}, "temperature is 0"),
    ],
)
def test_parameters_must_be_positive(
    parameters: dict[str, float], message: str, world: World
) -> None:
    phi, label, trusted = world
    with pytest.raises(RoutingInputError, match=message):
        label_influence(phi, label, trusted, label, **parameters)


def test_trusted_comparisons_need_a_category_each(world: World) -> None:
    trusted = TrustedSet(np.ones((3, 4)), np.ones(3), np.zeros(2))
    with pytest.raises(RoutingInputError, match="2 categories for 3"):
        smooth_performance(np.ones(4), trusted, temperature=1.0)


def test_labels_of_another_length_are_refused() -> None:
    with pytest.raises(RoutingInputError, match="2 labels for 3"):
        least_squares_weights(np.ones((3, 1)), np.ones(2), prior_precision=1.0)

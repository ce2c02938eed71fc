"""Labels from several annotators: majority, shares, Dawid-Skene."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modeling.core.aggregation import (
    NO_CONSENSUS,
    DawidSkene,
    Votes,
    majority,
    soft_label,
    votes_from_ratings,
)
from modeling.core.types import ConvergenceError, FloatArray, IntArray, InvalidInputError

rating_rows = st.lists(
    st.lists(st.integers(-1, 2), min_size=4, max_size=4), min_size=1, max_size=12
)


def votes_of(
    item: Any,
    annotator: Any,
    label: Any,
    n_items: int,
    n_annotators: int,
    n_classes: int,
    weight: Any = None,
) -> Votes:
    return Votes(item, annotator, label, n_items, n_annotators, n_classes, weight)


def crowd(seed: int, n_items: int = 600) -> tuple[IntArray, IntArray, FloatArray]:
    """Draw truth and ratings of three good annotators, a poor one and one with a bias."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(3, size=n_items, p=[0.5, 0.2, 0.3])
    confusion = np.stack(
        [np.eye(3) * (a - (1 - a) / 2) + (1 - a) / 2 for a in (0.9, 0.85, 0.8, 0.4)]
    )
    biased = np.array([[0.9, 0.05, 0.05], [0.6, 0.35, 0.05], [0.3, 0.1, 0.6]])
    confusion = np.concatenate([confusion, biased[None]])
    draws = rng.random((n_items, 5, 1))
    ratings = (draws > confusion[:, truth].swapaxes(0, 1).cumsum(axis=2)).sum(axis=2)
    return truth, np.where(rng.random(ratings.shape) < 0.2, -1, ratings), confusion


def test_majority_takes_the_most_frequent_class() -> None:
    assert majority(votes_from_ratings([[0, 2, 2], [1, 1, 1]], 3)).tolist() == [2, 1]


@pytest.mark.parametrize("row", [[0, 2, -1], [2, 0, -1], [0, 1, 2], [-1, -1, -1]])
def test_an_even_split_is_no_consensus_in_any_order(row: list[int]) -> None:
    assert majority(votes_from_ratings([row], 3)).tolist() == [NO_CONSENSUS]


@given(rating_rows, st.permutations(range(4)))
def test_the_order_of_labels_changes_no_majority(rows: Any, order: list[int]) -> None:
    ratings = np.array(rows)
    before = majority(votes_from_ratings(ratings, 3))
    np.testing.assert_array_equal(majority(votes_from_ratings(ratings[:, order], 3)), before)


def test_weights_can_decide_a_majority() -> None:
    votes = votes_of([0, 0], [0, 1], [0, 2], 1, 2, 3, weight=[1.0, 2.0])
    assert majority(votes).tolist() == [2]


def test_soft_label_is_the_share_of_votes() -> None:
    shares = soft_label(votes_from_ratings([[0, 2, 2], [-1, -1, -1]], 3))
    np.testing.assert_allclose(shares, [[1 / 3, 0, 2 / 3], [1 / 3, 1 / 3, 1 / 3]])


def test_smoothing_adds_imagined_votes() -> None:
    shares = soft_label(votes_from_ratings([[0, 0]], 3), smoothing=1.0)
    np.testing.assert_allclose(shares, [[3 / 5, 1 / 5, 1 / 5]])


def test_dawid_skene_finds_planted_confusion_matrices() -> None:
    _, ratings, confusion = crowd(0, n_items=4000)
    model = DawidSkene().fit(votes_from_ratings(ratings, 3))
    np.testing.assert_allclose(model.confusion_, confusion, atol=0.06)
    np.testing.assert_allclose(model.class_prior_, [0.5, 0.2, 0.3], atol=0.03)


def test_dawid_skene_beats_the_majority_when_skill_differs() -> None:
    truth, ratings, _ = crowd(1)
    votes = votes_from_ratings(ratings, 3)
    by_model = (DawidSkene().fit(votes).labels_ == truth).mean()
    assert by_model > (majority(votes) == truth).mean() + 0.03


def test_accuracy_ranks_annotators_by_skill() -> None:
    _, ratings, _ = crowd(2)
    accuracy = DawidSkene().fit(votes_from_ratings(ratings, 3)).accuracy_
    assert accuracy.argmin() == 3
    assert accuracy[0] > accuracy[4]


@given(rating_rows.filter(lambda rows: max(map(max, rows)) >= 0))
def test_every_step_raises_the_log_posterior(rows: Any) -> None:
    model = DawidSkene().fit(votes_from_ratings(rows, 3))
    assert (np.diff(model.log_posterior_) >= -1e-9).all()
    np.testing.assert_allclose(model.posterior_.sum(axis=1), 1.0)
    np.testing.assert_allclose(model.confusion_.sum(axis=2), 1.0)


def test_one_step_of_two_annotators_by_hand() -> None:
    # One label 0 from annotator 0, one label 1 from annotator 1, on one comparison: symmetric.
    model = DawidSkene().fit(votes_of([0, 0], [0, 1], [0, 1], 1, 2, 2))
    np.testing.assert_allclose(model.posterior_, [[0.5, 0.5]])
    assert model.labels_.tolist() == [NO_CONSENSUS]


def test_a_comparison_without_labels_has_no_consensus() -> None:
    model = DawidSkene().fit(votes_of([0, 0], [0, 1], [1, 1], 2, 2, 2))
    assert model.labels_.tolist() == [1, NO_CONSENSUS]


def test_a_weight_of_two_is_a_label_given_twice() -> None:
    twice = votes_of([0, 0, 0, 1], [0, 0, 1, 1], [0, 0, 1, 1], 2, 2, 2)
    weighed = votes_of([0, 0, 1], [0, 1, 1], [0, 1, 1], 2, 2, 2, weight=[2.0, 1.0, 1.0])
    model = DawidSkene(tol=1e-12)
    expected = model.fit(twice).posterior_
    np.testing.assert_allclose(model.fit(weighed).posterior_, expected, atol=1e-5)


def test_hundreds_of_labels_do_not_underflow() -> None:
    model = DawidSkene().fit(votes_from_ratings(np.zeros((2, 900), dtype=int), 2))
    assert model.labels_.tolist() == [0, 0]
    assert np.isfinite(model.log_posterior_).all()


def test_too_few_steps_are_an_error_that_says_what_to_do() -> None:
    _, ratings, _ = crowd(0)
    with pytest.raises(ConvergenceError, match="raise max_iter or tol"):
        DawidSkene(max_iter=2).fit(votes_from_ratings(ratings, 3))


def test_no_labels_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="votes is empty"):
        DawidSkene().fit(votes_of([], [], [], 1, 1, 2))


@pytest.mark.parametrize(
    "options", [{"smoothing": 0.0}, {"class_smoothing": -1.0}, {"diagonal": -1.0}]
)
def test_priors_that_allow_log_zero_are_refused(options: Any) -> None:
    with pytest.raises(InvalidInputError, match="must be positive"):
        DawidSkene(**options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label": [3]}, r"label must lie in 0\.\.2; row 0 is 3"),
        ({"annotator": [0, 1]}, "annotator has 2 rows"),
        ({"weight": [-1.0]}, "weight must not be negative"),
        ({"weight": [1.0, 1.0]}, "weight has 2 rows"),
    ],
)
def test_votes_outside_their_ranges_are_refused(changes: dict[str, Any], message: str) -> None:
    fields = {"item": [0], "annotator": [0], "label": [0], "weight": None} | changes
    with pytest.raises(InvalidInputError, match=message):
        Votes(**fields, n_items=1, n_annotators=2, n_classes=3)


def test_negative_smoothing_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="smoothing must not be negative"):
        soft_label(votes_from_ratings([[0]], 2), smoothing=-1)

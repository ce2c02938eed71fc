import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.core.arrays import FloatArray, RoutingInputError
from routing.core.features import MAX_TOKENS, STATISTIC_NAMES, FrozenBins, text_statistics

texts = st.text("abc ABC12.\n", max_size=40)
NAMES = ("x",)


def column(prompt: str, first: str, second: str, name: str) -> float:
    statistics = text_statistics([prompt], [first], [second])
    return float(statistics.values[0, STATISTIC_NAMES.index(name)])


@given(texts, texts, texts)
def test_swapping_the_responses_leaves_all_nine_statistics_unchanged(
    prompt: str, first: str, second: str
) -> None:
    here = text_statistics([prompt], [first], [second]).values
    there = text_statistics([prompt], [second], [first]).values
    np.testing.assert_array_equal(here, there)
    assert np.isfinite(here).all()


def test_swapping_embeddings_leaves_the_cosine_unchanged() -> None:
    a, b = np.random.default_rng(0).standard_normal((2, 5, 7))
    words = ["w"] * 5
    here = text_statistics(words, words, words, first_embeddings=a, second_embeddings=b)
    there = text_statistics(words, words, words, first_embeddings=b, second_embeddings=a)
    np.testing.assert_array_equal(here.values, there.values)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("prompt_length", 3.0),
        ("len_shorter", 2.0),
        ("len_longer", 4.0),
        ("len_difference", 2.0),
        ("rouge_l", 2 * 2 / 6),
        ("edit_similarity", 1 - 2 / 4),
        ("cosine", 2 / math.sqrt(2 * 4)),
        ("length_weighted_similarity", 2 / math.sqrt(2 * 4) * math.exp(1 - 4 / 2)),
        ("entity_overlap", 1.0),
    ],
)
def test_each_statistic_of_a_hand_computed_comparison(name: str, expected: float) -> None:
    value = column("say it again", "red fish", "red fish blue whale", name)
    assert value == pytest.approx(expected)


def test_embeddings_replace_the_bag_of_words_in_both_cosine_columns() -> None:
    first, second = np.array([[1.0, 0.0]]), np.array([[-1.0, 0.0]])
    values = text_statistics(
        ["p"], ["same"], ["same"], first_embeddings=first, second_embeddings=second
    ).values[0]
    assert values[STATISTIC_NAMES.index("cosine")] == -1.0
    assert values[STATISTIC_NAMES.index("length_weighted_similarity")] == -1.0


def test_quadratic_statistics_read_only_the_head_of_a_long_text() -> None:
    head = "word " * MAX_TOKENS
    assert column("p", head + "tail", head + "other end", "rouge_l") == 1.0
    assert column("p", head + "tail", head + "other end", "len_difference") == 1.0


def test_one_embedding_matrix_alone_is_refused() -> None:
    with pytest.raises(RoutingInputError, match="both first_embeddings and second_embeddings"):
        text_statistics(["p"], ["a"], ["b"], first_embeddings=np.ones((1, 2)))


def test_lengths_that_differ_are_named() -> None:
    with pytest.raises(RoutingInputError, match="second_texts has 2"):
        text_statistics(["p"], ["a"], ["b", "c"])


@pytest.mark.parametrize(
    ("value", "bin_"), [(-9.0, 0), (0.0, 0), (0.3299, 0), (0.33, 1), (0.67, 2), (1.0, 2), (9.0, 2)]
)
def test_bins_are_half_open_and_clamp_what_lies_outside(value: float, bin_: int) -> None:
    bins = FrozenBins.from_dict(stored_bins([[0.33, 0.67]]))
    assert bins.transform([[value]])[0].tolist() == [k == bin_ for k in range(3)]


def stored_bins(cut_points: list[list[float]]) -> dict[str, object]:
    bins = FrozenBins().fit(np.arange(9.0)[:, None], NAMES)
    bins.cut_points_ = np.array(cut_points)
    return bins.to_dict()


@given(st.lists(st.sampled_from([0.0, 0.25, 0.33, 0.67, 1.0]), min_size=1, max_size=30))
def test_every_value_falls_in_one_bin_and_serving_equals_fitting(values: list[float]) -> None:
    matrix = np.array(values)[:, None]
    bins = FrozenBins().fit(matrix, NAMES)
    served = FrozenBins.from_dict(json.loads(json.dumps(bins.to_dict())))
    fitted = bins.transform(matrix)
    assert (fitted.sum(axis=1) == 1).all()
    np.testing.assert_array_equal(np.vstack([served.transform([[v]]) for v in values]), fitted)


def test_a_subset_keeps_the_bins_of_the_whole() -> None:
    # The reference ranks lengths again inside each subset, which erases their signal.
    lengths = np.arange(900.0)[:, None]
    bins = FrozenBins().fit(lengths, NAMES)
    assert bins.transform(lengths).sum(axis=0).tolist() == [300, 300, 300]
    assert bins.transform(lengths[600:]).sum(axis=0).tolist() == [0, 0, 300]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 0, 0, 0, 0, 0, 0, 0.5, 1], [7, 0, 2]),
        ([0, 0.5, 1, 1, 1, 1, 1, 1, 1], [2, 0, 7]),
        ([4, 4, 4], [0, 0, 3]),
    ],
)
def test_piled_up_values_keep_a_bin_of_their_own(values: list[float], expected: list[int]) -> None:
    matrix = np.array(values, dtype=float)[:, None]
    assert FrozenBins().fit(matrix, NAMES).transform(matrix).sum(axis=0).tolist() == expected


def test_tag_names_follow_the_columns() -> None:
    bins = FrozenBins().fit(np.arange(12.0).reshape(6, 2), ("a", "b"))
    assert bins.tag_names == ("a=low", "a=middle", "a=high", "b=low", "b=middle", "b=high")


def test_other_quantiles_give_other_numbers_of_bins() -> None:
    bins = FrozenBins().fit(np.arange(8.0)[:, None], NAMES, quantiles=(0.25, 0.5, 0.75))
    assert bins.tag_names == ("x=bin_0", "x=bin_1", "x=bin_2", "x=bin_3")
    assert bins.transform(np.arange(8.0)[:, None]).sum(axis=0).tolist() == [2, 2, 2, 2]


def test_the_version_changes_with_the_cut_points() -> None:
    low = FrozenBins().fit(np.arange(9.0)[:, None], NAMES)
    high = FrozenBins().fit(np.arange(9.0)[:, None] + 1, NAMES)
    assert low.version != high.version
    assert low.version == FrozenBins.from_dict(low.to_dict()).version


@pytest.mark.parametrize(
    ("change", "message"),
    [({"format": 9}, "format 9"), ({"cut_points": [[0.1, 0.2]]}, "changed after")],
)
def test_stored_bins_that_cannot_be_trusted_are_refused(
    change: dict[str, object], message: str
) -> None:
    state = FrozenBins().fit(np.arange(9.0)[:, None], NAMES).to_dict() | change
    with pytest.raises(RoutingInputError, match=message):
        FrozenBins.from_dict(state)


@pytest.mark.parametrize(
    ("values", "quantiles", "message"),
    [
        (np.array([[np.nan]]), (0.5,), r"values\[0, 0\] is nan"),
        (np.ones((2, 2)), (0.5,), "shape"),
        (np.ones((2, 1)), (0.6, 0.4), "increase"),
        (np.ones((2, 1)), (), "increase"),
        (np.ones((0, 1)), (0.5,), "no rows"),
    ],
)
def test_bad_fits_say_what_was_passed(
    values: FloatArray, quantiles: tuple[float, ...], message: str
) -> None:
    with pytest.raises(RoutingInputError, match=message):
        FrozenBins().fit(values, NAMES, quantiles=quantiles)

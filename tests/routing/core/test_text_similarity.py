from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.core.text_similarity import (
    bag_cosine,
    edit_distance,
    edit_similarity,
    entities,
    jaccard,
    lcs_length,
    rouge_l,
    tokenise,
)

tokens = st.lists(st.sampled_from("abcd"), max_size=12)


def table_edit_distance(first: list[str], second: list[str]) -> int:
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, 1):
        before, row = row, [i]
        for j, b in enumerate(second, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (a != b)))
    return row[-1]


def table_lcs(first: list[str], second: list[str]) -> int:
    row = [0] * (len(second) + 1)
    for a in first:
        before, row = row, [0]
        for j, b in enumerate(second, 1):
            row.append(before[j - 1] + 1 if a == b else max(before[j], row[-1]))
    return row[-1]


@given(tokens, tokens)
def test_bit_parallel_edit_distance_equals_the_textbook_table(a: list[str], b: list[str]) -> None:
    assert edit_distance(a, b) == table_edit_distance(a, b)


@given(tokens, tokens)
def test_bit_parallel_subsequence_equals_the_textbook_table(a: list[str], b: list[str]) -> None:
    assert lcs_length(a, b) == table_lcs(a, b)


@given(tokens, tokens)
def test_similarities_are_symmetric_and_between_zero_and_one(a: list[str], b: list[str]) -> None:
    assert rouge_l(a, b) == rouge_l(b, a)
    assert edit_similarity(a, b) == edit_similarity(b, a)
    assert 0.0 <= rouge_l(a, b) <= 1.0
    assert 0.0 <= edit_similarity(a, b) <= 1.0


def test_sitting_is_three_edits_from_kitten() -> None:
    assert edit_distance(list("kitten"), list("sitting")) == 3


def test_rouge_l_of_a_hand_computed_pair() -> None:
    # The longest common subsequence of the two is "the sat", 2 of 3 and 2 of 5 tokens.
    first, second = ["the", "cat", "sat"], ["the", "old", "dog", "sat", "down"]
    assert rouge_l(first, second) == pytest.approx(0.5)


@pytest.mark.parametrize("measure", [rouge_l, edit_similarity])
def test_two_empty_texts_are_equal_and_an_empty_one_is_unlike_any_other(measure) -> None:  # type: ignore[no-untyped-def]
    assert measure([], []) == 1.0
    assert measure([], ["word"]) == 0.0


def test_bag_cosine_of_a_hand_computed_pair() -> None:
    # (2, 1) and (1, 0, 1) share the product 2; lengths are sqrt(5) and sqrt(2).
    cosine = bag_cosine(Counter("aab"), Counter("ac"))
    assert cosine == pytest.approx(2 / (5 * 2) ** 0.5)


@pytest.mark.parametrize(("a", "b", "cosine"), [("", "", 1.0), ("a", "", 0.0), ("", "a", 0.0)])
def test_bag_cosine_of_empty_texts(a: str, b: str, cosine: float) -> None:
    assert bag_cosine(Counter(a), Counter(b)) == cosine


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Tokenise THIS, please.", ["tokenise", "this", "please"]),
        ("don't stop", ["don't", "stop"]),
        ("東京 is big", ["東", "京", "is", "big"]),
        ("", []),
        ("?!…", []),
    ],
)
def test_tokens_are_words_or_characters_of_unspaced_scripts(text: str, expected: list[str]) -> None:
    assert tokenise(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Yesterday Marie Curie met NASA in 1911.", {"marie", "curie", "nasa", "1911"}),
        ("The answer is 3.5 or 40%.", {"3.5", "40%"}),
        ("Nothing here. Nothing there.", set()),
        ("I know The Hague.", {"hague"}),
    ],
)
def test_entities_are_names_inside_sentences_and_numbers(text: str, expected: set[str]) -> None:
    assert entities(text) == expected


def test_jaccard_divides_by_the_union_and_calls_two_empty_sets_equal() -> None:
    # One shared of two and two; dividing by twice the size of one side would give 1/4.
    assert jaccard(frozenset("ab"), frozenset("bc")) == pytest.approx(1 / 3)
    assert jaccard(frozenset(), frozenset()) == 1.0

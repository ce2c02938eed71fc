"""Readable features by hand, in any script."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modeling.core.readable_features import FEATURE_NAMES, interpretable_features
from modeling.core.types import InvalidInputError


def feature(name: str, response: str, prompt: str = "") -> float:
    matrix, names = interpretable_features([prompt], [response])
    return float(matrix[0, names.index(name)])


@pytest.mark.parametrize(
    ("name", "response", "expected"),
    [
        ("log_characters", "abc", np.log(4)),
        ("log_words", "one two", np.log(3)),
        ("mean_word_length", "to four", 3.0),
        ("mean_sentence_words", "One two. Three four.", 2.0),
        ("list_line_share", "Steps:\n- a\n2. b\n\nend", 0.5),
        ("markdown_marks_per_line", "# Title\n**bold** text", 1.5),
        ("code_share", "`ab` xxxx", 4 / 9),
        ("code_share", "```\nunclosed", 1.0),
        ("digit_share", "a1b2", 0.5),
        ("uppercase_share", "ABcd 12", 0.5),
        ("question_marks", "a? b?", np.log(3)),
        ("exclamation_marks", "wow!", np.log(2)),
        ("type_token_ratio", "the cat The dog", 0.75),
        ("repeated_line_share", "same\nsame\nother\n", 1 / 3),
        ("refusal_phrases", "I\u2019m sorry, but as an AI I cannot help.", 3.0),
        ("hedges", "Perhaps it might work", 2.0),
        ("is_empty", "  \n", 1.0),
    ],
)
def test_readable_features_by_hand(name: str, response: str, expected: Any) -> None:
    assert feature(name, response) == pytest.approx(expected, rel=1e-5)


def test_overlap_with_the_prompt_counts_distinct_words() -> None:
    prompt, response = "red green blue", "Red red violet"
    assert feature("prompt_overlap", response, prompt) == pytest.approx(1 / 2)
    assert feature("prompt_coverage", response, prompt) == pytest.approx(1 / 3)


def test_chinese_characters_count_as_words() -> None:
    assert feature("log_words", "你好") == pytest.approx(np.log(3))


@settings(max_examples=60)
@given(st.lists(st.tuples(st.text(max_size=40), st.text(max_size=60)), max_size=4))
def test_any_text_has_finite_features(rows: Any) -> None:
    prompts, responses = [row[0] for row in rows], [row[1] for row in rows]
    matrix, names = interpretable_features(prompts, responses)
    assert names == FEATURE_NAMES
    assert matrix.shape == (len(rows), len(names))
    assert np.isfinite(matrix).all()


def test_prompts_and_responses_must_pair() -> None:
    with pytest.raises(InvalidInputError, match="responses has 1 rows; the others have 2"):
        interpretable_features(["a", "b"], ["c"])

"""Readable features of a response: length, layout, overlap with the prompt, refusals."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from modeling.core.types import Float32Array, require_length

REFUSAL = re.compile(
    r"\b(?:i(?:['\u2019]?m| am) sorry|i (?:cannot|can not|can['\u2019]?t|won['\u2019]?t)"
    r"|i(?:['\u2019]?m| am) (?:not able|unable)|as an ai|as a language model"
    r"|i must decline|not appropriate)\b",
    re.IGNORECASE,
)
HEDGE = re.compile(
    r"\b(?:maybe|perhaps|possibly|probably|might|could be|it depends|i think|i believe|not sure)\b",
    re.IGNORECASE,
)
LIST_LINE = re.compile(r"^\s*(?:[-*+\u2022]|\d+[.)])\s+\S")
MARKDOWN = re.compile(r"\*\*|__|^#{1,6} |\||\[[^\]]+\]\(", re.MULTILINE)
CODE_BLOCK = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
SENTENCE_END = re.compile(r"[.!?\u3002\uff01\uff1f]+(?:\s|$)")
# One CJK character carries about as much as a word of an alphabetic script.
WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W_]+", re.UNICODE)

FEATURE_NAMES = (
    "log_characters",
    "log_words",
    "mean_word_length",
    "mean_sentence_words",
    "list_line_share",
    "markdown_marks_per_line",
    "code_share",
    "digit_share",
    "uppercase_share",
    "question_marks",
    "exclamation_marks",
    "type_token_ratio",
    "repeated_line_share",
    "prompt_overlap",
    "prompt_coverage",
    "refusal_phrases",
    "hedges",
    "is_empty",
)


def interpretable_features(
    prompts: Sequence[str], responses: Sequence[str]
) -> tuple[Float32Array, tuple[str, ...]]:
    """Count what a reader can see: length, lists, code, overlap with the prompt, refusals.

    These columns also carry the known biases (length, formatting, refusal), so that a reward model
    on them can show a label source's bias.

    Parameters
    ----------
    prompts : sequence of str
        Prompt of each response.
    responses : sequence of str
        Response texts.

    Returns
    -------
    features : ndarray of float32, shape (n, m)
        One row per response, unscaled; all finite, empty texts included.
    names : tuple of str, length m
        Column names.

    Raises
    ------
    InvalidInputError
        If the two sequences differ in length.
    """
    require_length("responses", np.empty(len(responses)), len(prompts))
    rows = [_row(prompt, text) for prompt, text in zip(prompts, responses, strict=True)]
    matrix = np.array(rows, dtype=np.float32).reshape(len(rows), len(FEATURE_NAMES))
    return matrix, FEATURE_NAMES


def _row(prompt: str, text: str) -> tuple[float, ...]:
    words = [word.lower() for word in WORD.findall(text)]
    return (
        float(np.log1p(len(text))),
        float(np.log1p(len(words))),
        _share(sum(map(len, words)), len(words)),
        _share(len(words), len(SENTENCE_END.findall(text)) or 1),
        *_layout(text),
        *_characters(text),
        _share(len(set(words)), len(words)),
        _repeated_lines(text),
        *_overlap(prompt, words),
        float(len(REFUSAL.findall(text))),
        float(len(HEDGE.findall(text))),
        float(not text.strip()),
    )


def _layout(text: str) -> tuple[float, float, float]:
    lines = [line for line in text.splitlines() if line.strip()]
    listed = sum(bool(LIST_LINE.match(line)) for line in lines)
    code = sum(len(block) for block in CODE_BLOCK.findall(text))
    marks = len(MARKDOWN.findall(text))
    return _share(listed, len(lines)), _share(marks, len(lines)), _share(code, len(text))


def _characters(text: str) -> tuple[float, float, float, float]:
    letters = sum(character.isalpha() for character in text)
    upper = sum(character.isupper() for character in text)
    digits = sum(character.isdigit() for character in text)
    marks = float(np.log1p(text.count("?"))), float(np.log1p(text.count("!")))
    return _share(digits, len(text)), _share(upper, letters), *marks


def _repeated_lines(text: str) -> float:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return 1.0 - _share(len(set(lines)), len(lines)) if lines else 0.0


def _overlap(prompt: str, words: list[str]) -> tuple[float, float]:
    asked, said = {word.lower() for word in WORD.findall(prompt)}, set(words)
    shared = len(asked & said)
    return _share(shared, len(said)), _share(shared, len(asked))


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0

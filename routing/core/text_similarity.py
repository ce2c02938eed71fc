"""Fast symmetric similarities between two texts, on word tokens, without any download."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

# One token per word, or per character of scripts that are written without spaces.
_TOKEN = re.compile(
    r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0e7f]|[^\W_]+(?:['\u2019][^\W_]+)*"
)
_NUMBER = re.compile(r"\d+(?:[.,:/]\d+)*%?")
_WORD_OR_STOP = re.compile(r"[.!?:\n\u3002\uff01\uff1f]+|[^\W\d_][\w'\u2019-]*")
_SENTENCE_END = frozenset(".!?:\n\u3002\uff01\uff1f")


def tokenise(text: str) -> list[str]:
    """Split a text into lower-case word tokens.

    Parameters
    ----------
    text : str
        Any text; Chinese, Japanese and Thai give one token per character.

    Returns
    -------
    list of str
        Tokens in reading order; punctuation is dropped.
    """
    return _TOKEN.findall(text.lower())


def _token_masks(tokens: Sequence[str]) -> dict[str, int]:
    """Return, per token, the bit set of the positions it stands at."""
    masks: dict[str, int] = {}
    for position, token in enumerate(tokens):
        masks[token] = masks.get(token, 0) | (1 << position)
    return masks


def lcs_length(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the length of the longest common subsequence of two token lists.

    Parameters
    ----------
    first, second : sequence of str
        Tokens.

    Returns
    -------
    int
        Length between 0 and the shorter length.

    Notes
    -----
    Bit-parallel: one big-integer step per token of `second`.

    References
    ----------
    Hyyrö, "Bit-parallel LCS-length computation revisited", AWOCA 2004, figure 3.
    """
    masks = _token_masks(first)
    full = (1 << len(first)) - 1
    row = full
    for token in second:
        matched = row & masks.get(token, 0)
        row = ((row + matched) | (row - matched)) & full
    return len(first) - row.bit_count()


def edit_distance(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the Levenshtein distance between two token lists.

    Parameters
    ----------
    first, second : sequence of str
        Tokens.

    Returns
    -------
    int
        Fewest insertions, deletions and substitutions.

    Notes
    -----
    Bit-parallel: one step of big-integer operations per token of `second`.

    References
    ----------
    Hyyrö, "A bit-vector algorithm for computing Levenshtein and Damerau edit distances",
    Nordic Journal of Computing 10, 2003, figure 8.
    """
    if not first or not second:
        return max(len(first), len(second))
    masks = _token_masks(first)
    full = (1 << len(first)) - 1
    last = 1 << (len(first) - 1)
    up, down, distance = full, 0, len(first)
    for token in second:
        equal = masks.get(token, 0)
        diagonal = (((equal & up) + up) ^ up) | equal | down
        gained = down | (full & ~(diagonal | up))
        lost = up & diagonal
        distance += bool(gained & last) - bool(lost & last)
        gained = ((gained << 1) | 1) & full
        up = ((lost << 1) & full) | (full & ~(diagonal | gained))
        down = gained & diagonal
    return distance


def rouge_l(first: Sequence[str], second: Sequence[str]) -> float:
    """Return the ROUGE-L F1 of two token lists.

    Parameters
    ----------
    first, second : sequence of str
        Tokens.

    Returns
    -------
    float
        Value in [0, 1]; 1 when both are empty.

    References
    ----------
    Lin, "ROUGE: a package for automatic evaluation of summaries", ACL workshop 2004, eq. 2-4
    with beta = 1.
    """
    total = len(first) + len(second)
    return 2.0 * lcs_length(first, second) / total if total else 1.0


def edit_similarity(first: Sequence[str], second: Sequence[str]) -> float:
    """Return one minus the Levenshtein distance over the longer length.

    Parameters
    ----------
    first, second : sequence of str
        Tokens.

    Returns
    -------
    float
        Value in [0, 1]; 1 when both are empty.
    """
    longest = max(len(first), len(second))
    return 1.0 - edit_distance(first, second) / longest if longest else 1.0


def bag_cosine(first: Counter[str], second: Counter[str]) -> float:
    """Return the cosine of two bags of words.

    Parameters
    ----------
    first, second : collections.Counter
        Token counts.

    Returns
    -------
    float
        Value in [0, 1]; 1 when both are empty, 0 when one is.
    """
    if not first and not second:
        return 1.0
    shared = sum(count * second[token] for token, count in first.items() if token in second)
    square = sum(c * c for c in first.values()) * sum(c * c for c in second.values())
    return float(shared / square**0.5) if square else 0.0


def entities(text: str) -> frozenset[str]:
    """Return the proper nouns and numbers of a text.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    frozenset of str
        Lower-case names and numbers. A capitalised word counts unless it opens a sentence;
        a word of two or more capitals counts anywhere.
    """
    found = set(_NUMBER.findall(text))
    opens = True
    for word in _WORD_OR_STOP.findall(text):
        if word[0] in _SENTENCE_END:
            opens = True
            continue
        acronym = len(word) > 1 and word.isupper()
        if acronym or (word[0].isupper() and not opens):
            found.add(word.lower())
        opens = False
    return frozenset(found - {"the", "i"})


def jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    """Return the share of the union of two sets that both hold.

    Parameters
    ----------
    first, second : frozenset of str
        Sets to compare.

    Returns
    -------
    float
        Value in [0, 1]; 1 when both are empty.
    """
    union = first | second
    return len(first & second) / len(union) if union else 1.0

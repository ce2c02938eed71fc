"""Judging more than two responses: by pairs or all at once, and what the replies come to.

Either way every two responses are compared in two opposite orders, and the ranking is by
Bradley-Terry log-strength over those comparisons. Where every pair was compared this is the order
of wins (Copeland's, with half a win for a tie or for two orders that disagree).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import log
from string import ascii_uppercase
from typing import Any

from modeling.core.judge_replies import (
    CombinedVerdict,
    JudgeAnswer,
    UnparsableReply,
    combine_samples,
    reply_fields,
)

MAX_RESPONSES = 10
"""Responses of a comparison that a judge can be asked about."""
MAX_PAIRS = MAX_RESPONSES * (MAX_RESPONSES - 1) // 2
USUAL_PAIRS = 15
HIGHEST_RATING = 10
RATING_STEPS = (1, 2, 4)
"""Smallest difference of two ratings (1 to 10) that is a strength of 1, 2 and 3."""

_PRIOR_WINS = 0.1
_ITERATIONS = 2_000
_SAME_STRENGTH = 5
"""Decimals to which two log-strengths must agree to share a rank."""

Pair = tuple[int, int]


@dataclass(frozen=True)
class RankingAnswer:
    """One parsed reply about more than two responses, in canonical order.

    Attributes
    ----------
    ranks : tuple of int
        Rank of each response, 0 best; equal ranks are ties.
    reason : str, default ""
        The judge's own words.
    ratings : tuple of float, optional
        Rating of each response, where the prompt asks for ratings.
    """

    ranks: tuple[int, ...]
    reason: str = ""
    ratings: tuple[float, ...] | None = None

    def pair(self, first: int, second: int) -> JudgeAnswer:
        """Return what the reply says about two of the responses.

        Parameters
        ----------
        first, second : int
            Places of the responses in canonical order.

        Returns
        -------
        JudgeAnswer
            The verdict on them; a ranking alone has strength 1.
        """
        gap = self.ranks[second] - self.ranks[first]
        if gap == 0:
            return JudgeAnswer("tie", 0)
        strength = 1
        if self.ratings is not None:
            strength = rating_strength(self.ratings[first] - self.ratings[second])
        return JudgeAnswer("first" if gap > 0 else "second", strength)


@dataclass(frozen=True)
class CombinedRanking:
    """What all replies about more than two responses come to.

    Attributes
    ----------
    ranks : tuple of int
        Rank of each response, 0 best; equal ranks are ties.
    margins : tuple of float
        Sum of signed strengths of each response over its pairs; settles ties where none may be.
    n_pairs : int
        Pairs compared.
    n_conflicts : int
        Pairs on which the two orders gave different verdicts.
    """

    ranks: tuple[int, ...]
    margins: tuple[float, ...]
    n_pairs: int
    n_conflicts: int

    @property
    def is_conflict(self) -> bool:
        """Whether the orders disagree on at least half of the pairs.

        Returns
        -------
        bool
            With two responses there is one pair, and one disagreement is a conflict.
        """
        return 2 * self.n_conflicts >= self.n_pairs


def compared_pairs(n_responses: int, max_pairs: int = USUAL_PAIRS) -> list[Pair]:
    """Choose which responses meet: all pairs, or a regular share of them.

    Parameters
    ----------
    n_responses : int
        Responses of the comparison, at least 2.
    max_pairs : int, default 15
        Pairs to stay within; a cycle through all responses is the least that ranks them.

    Returns
    -------
    list of tuple of int
        Places (first, second) with first < second. Every response is in equally many pairs, and
        every response is connected with every other.

    Examples
    --------
    >>> compared_pairs(4, 4)
    [(0, 1), (0, 3), (1, 2), (2, 3)]
    >>> len(compared_pairs(6, 15)), len(compared_pairs(10, 15))
    (15, 10)
    """
    every = list(combinations(range(n_responses), 2))
    if len(every) <= max_pairs:
        return every
    chosen: set[Pair] = set()
    for step in range(1, n_responses // 2 + 1):
        ring = {
            (min(place, other), max(place, other))
            for place in range(n_responses)
            for other in [(place + step) % n_responses]
        }
        if chosen and len(chosen) + len(ring) > max_pairs:
            break
        chosen |= ring
    return sorted(chosen)


def combine_ranking(
    replies: Mapping[Pair, tuple[Sequence[JudgeAnswer], Sequence[JudgeAnswer]]], n_responses: int
) -> CombinedRanking:
    """Join the replies about all pairs, in both orders, to one ranking.

    Parameters
    ----------
    replies : mapping of pair to two sequences of JudgeAnswer
        Replies in canonical order by the pair that they are about, asked in one order and in the
        other; at least one of each. Pairs that nobody compared are left out.
    n_responses : int
        Responses of the comparison.

    Returns
    -------
    CombinedRanking
        Ranks with ties.

    Notes
    -----
    Two orders that disagree on a pair are half a win for each side, as a tie is. Each pair also
    counts a tenth of a win either way, so that a response that wins all its pairs stays finite.

    References
    ----------
    Hunter, MM algorithms for generalized Bradley-Terry models, Annals of Statistics 2004, eq. 3.
    """
    spoken = {pair: combine_samples(*asked) for pair, asked in replies.items()}
    margins = [0.0] * n_responses
    for (first, second), verdict in spoken.items():
        margins[first] -= verdict.strength
        margins[second] += verdict.strength
    return CombinedRanking(
        ranks=ranks_of(_log_strengths(spoken, n_responses)),
        margins=tuple(margins),
        n_pairs=len(spoken),
        n_conflicts=sum(verdict.is_conflict for verdict in spoken.values()),
    )


def _log_strengths(spoken: Mapping[Pair, CombinedVerdict], n_responses: int) -> list[float]:
    wins = [0.0] * n_responses
    met: list[list[int]] = [[] for _ in range(n_responses)]
    for (first, second), verdict in spoken.items():
        won = {"first": 1.0, "second": 0.0, "tie": 0.5}[verdict.verdict]
        wins[first] += won + _PRIOR_WINS
        wins[second] += 1.0 - won + _PRIOR_WINS
        met[first].append(second)
        met[second].append(first)
    strengths = [1.0] * n_responses
    n_met = 1.0 + 2.0 * _PRIOR_WINS
    for _ in range(_ITERATIONS):
        before = strengths
        raw = [
            wins[place] / sum(n_met / (before[place] + before[other]) for other in met[place])
            if met[place]
            else 1.0
            for place in range(n_responses)
        ]
        scale = n_responses / sum(raw)
        strengths = [value * scale for value in raw]
        if max(abs(log(a / b)) for a, b in zip(strengths, before, strict=True)) < 1e-10:
            break
    return [log(value) for value in strengths]


def ranks_of(scores: Sequence[float]) -> tuple[int, ...]:
    """Rank responses by a score, the highest first.

    Parameters
    ----------
    scores : sequence of float
        One per response.

    Returns
    -------
    tuple of int
        Dense ranks from 0; scores equal to five decimals share one.

    Examples
    --------
    >>> ranks_of([0.5, 2.0, 0.5])
    (1, 0, 1)
    """
    rounded = [round(score, _SAME_STRENGTH) + 0.0 for score in scores]
    levels = sorted(set(rounded), reverse=True)
    return tuple(levels.index(score) for score in rounded)


def without_ties(ranking: CombinedRanking) -> tuple[int, ...] | None:
    """Settle equal ranks by the stated strengths.

    Parameters
    ----------
    ranking : CombinedRanking
        Ranks with ties.

    Returns
    -------
    tuple of int or None
        Distinct ranks; ``None`` where two responses stay equal.
    """
    keys = [
        (rank, -round(margin, _SAME_STRENGTH))
        for rank, margin in zip(ranking.ranks, ranking.margins, strict=True)
    ]
    order = sorted(set(keys))
    return tuple(order.index(key) for key in keys) if len(order) == len(keys) else None


def parse_ranking_reply(
    text: str, *, n_responses: int, swapped: bool, is_rating: bool, allow_tie: bool = True
) -> RankingAnswer:
    """Read a reply about all responses at once, as strictly as one about two.

    Parameters
    ----------
    text : str
        Raw reply.
    n_responses : int
        Responses shown, A to their last letter.
    swapped : bool
        Whether they were shown in reverse order.
    is_rating : bool
        Whether the prompt asks for a rating of each rather than for a ranking.
    allow_tie : bool, default True
        Whether responses may share a rank.

    Returns
    -------
    RankingAnswer
        In canonical order.

    Raises
    ------
    UnparsableReply
        If the reply is anything else; the message says what is wrong.
    """
    fields = reply_fields(text, ("ratings" if is_rating else "ranking", "reason"))
    reason = fields.get("reason", "")
    if not isinstance(reason, str):
        raise UnparsableReply(f"reason must be text; got {reason!r}.")
    letters = ascii_uppercase[:n_responses]
    if is_rating:
        shown_ratings = _ratings(fields.get("ratings"), letters)
        shown = ranks_of(shown_ratings)
    else:
        shown_ratings, shown = None, tuple(_ranks(fields.get("ranking"), letters))
    if len(set(shown)) < n_responses and not allow_tie:
        raise UnparsableReply("two responses are equal, and there are no ties here.")
    step = -1 if swapped else 1
    ratings = None if shown_ratings is None else tuple(shown_ratings[::step])
    return RankingAnswer(tuple(shown[::step]), reason, ratings)


def rating_strength(difference: float) -> int:
    """Turn a difference of two ratings into a strength.

    Parameters
    ----------
    difference : float
        Of ratings from 1 to 10; its sign does not matter.

    Returns
    -------
    int
        0 for equal ratings, 1 from a difference of 1, 2 from 2, 3 from 4.
    """
    return sum(abs(difference) >= step for step in RATING_STEPS)


def rating_of(name: str, value: Any) -> float:
    """Read one rating.

    Parameters
    ----------
    name : str
        What the reply calls it.
    value : object
        What stands there.

    Returns
    -------
    float
        From 1 to 10.

    Raises
    ------
    UnparsableReply
        If it is no number in that range.
    """
    # bool is an int to Python, and not a rating.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    rating = float(value) if is_number else 0.0
    if not 1 <= rating <= HIGHEST_RATING:
        raise UnparsableReply(f"{name} must be 1 to {HIGHEST_RATING}; got {value!r}.")
    return rating


def _ratings(value: Any, letters: str) -> list[float]:
    if not isinstance(value, dict) or set(value) != set(letters):
        raise UnparsableReply(f"ratings must name {', '.join(letters)} once each; got {value!r}.")
    return [rating_of(f"the rating of {letter}", value[letter]) for letter in letters]


def _ranks(value: Any, letters: str) -> list[int]:
    groups = value if isinstance(value, list) else []
    named = [[group] if isinstance(group, str) else group for group in groups]
    if not all(isinstance(group, list) and group for group in named):
        raise UnparsableReply(f"ranking must be a list of letters, best first; got {value!r}.")
    rank = {letter: place for place, group in enumerate(named) for letter in map(str, group)}
    if sorted(str(letter) for group in named for letter in group) != list(letters):
        raise UnparsableReply(f"ranking must name {', '.join(letters)} once each; got {value!r}.")
    return [rank[letter] for letter in letters]

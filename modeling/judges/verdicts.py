"""What the replies about one comparison come to: a verdict on two responses, or a ranking."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import combinations
from statistics import fmean
from typing import Any

from modeling.core.judge_rankings import (
    CombinedRanking,
    Pair,
    RankingAnswer,
    combine_ranking,
    without_ties,
)
from modeling.core.judge_replies import CombinedVerdict, JudgeAnswer, combine_samples
from modeling.judges.asking import Answers, Asked
from modeling.judges.questions import ORDERS, Places, cost_usd, prompt_name
from modeling.models import Judge

RANKINGS = {"first": (0, 1), "second": (1, 0), "tie": (0, 0)}
Replies = Mapping[tuple[Places, bool], Sequence[JudgeAnswer | RankingAnswer]]


@dataclass(frozen=True)
class Verdict:
    """What a judge says about a comparison, ready to be stored.

    ``strict`` is the ranking without ties, where it can be had; ``orders`` says in words what the
    judge said in each order.
    """

    ranking: tuple[int, ...]
    strict: tuple[int, ...] | None
    is_conflict: bool
    reason: str
    cost_usd: Decimal
    extra: dict[str, Any]
    strength: float | None = None
    probability: float | None = None
    orders: str = ""


def verdict_of(judge: Judge, answers: Answers, n_responses: int) -> Verdict | None:
    """Return what all replies come to; ``None`` if a question has none that can be read."""
    if answers.given is not None:
        given = answers.given
        extra = {"model": given.model, **given.extra}
        return _verdict(given.combined, given.reason, Decimal(0), extra)
    replies: defaultdict[tuple[Places, bool], list[JudgeAnswer | RankingAnswer]] = defaultdict(list)
    for one in answers.asked:
        # Named for unreadable replies too, so that an empty list shows below.
        replies[one.ask.places, one.ask.swapped].extend([one.answer] if one.answer else [])
    if not all(replies.values()):
        return None
    cost = sum((cost_of(judge, one) for one in answers.asked), Decimal(0))
    reason = next((one.answer.reason for one in answers.asked if one.answer), "")
    if n_responses == 2:
        pair = _pairs(replies)[0, 1]
        combined = combine_samples(*pair)
        extra = {**_told(judge, answers.asked), **_orders(answers.asked, combined)}
        return _verdict(combined, reason, cost, extra, _said(*pair))
    pairs = _pairs(replies)
    ranking = combine_ranking(pairs, n_responses)
    extra = {**_told(judge, answers.asked), **_compared(judge, answers.asked, pairs)}
    words = f"{ranking.n_conflicts} of {ranking.n_pairs} pairs were told apart differently"
    return _verdict(ranking, reason, cost, extra, f"{words} in the two orders.")


def verdict_word(answer: JudgeAnswer | RankingAnswer | None) -> str:
    """Return what the table of replies says of one; "" for one that cannot be read."""
    if answer is None:
        return ""
    return "ranking" if isinstance(answer, RankingAnswer) else answer.verdict


def cost_of(judge: Judge, asked: Asked) -> Decimal:
    """Return what a reply costs, or cost when it was new."""
    reply = asked.reply
    if reply.cost_usd is not None:
        return reply.cost_usd
    return cost_usd(judge, input_tokens=reply.input_tokens, output_tokens=reply.output_tokens)


def _verdict(
    combined: CombinedVerdict | CombinedRanking,
    reason: str,
    cost: Decimal,
    extra: dict[str, Any],
    orders: str = "",
) -> Verdict:
    if isinstance(combined, CombinedRanking):
        strict = without_ties(combined)
        return Verdict(
            combined.ranks, strict, combined.is_conflict, reason, cost, extra, orders=orders
        )
    ranking = RANKINGS[combined.verdict]
    strict = None if combined.verdict == "tie" else ranking
    return Verdict(
        ranking,
        strict,
        combined.is_conflict,
        reason,
        cost,
        extra,
        combined.strength,
        combined.probability,
        orders,
    )


def _pairs(replies: Replies) -> dict[Pair, tuple[list[JudgeAnswer], list[JudgeAnswer]]]:
    """Turn replies about pairs, or about all responses, into replies about pairs."""
    found: dict[Pair, tuple[list[JudgeAnswer], list[JudgeAnswer]]] = {}
    for (places, swapped), answers in replies.items():
        for first, second in combinations(range(len(places)), 2):
            orders = found.setdefault((places[first], places[second]), ([], []))
            orders[swapped].extend(
                answer.pair(first, second) if isinstance(answer, RankingAnswer) else answer
                for answer in answers
            )
    return found


def _said(original: Sequence[JudgeAnswer], swapped: Sequence[JudgeAnswer]) -> str:
    words = []
    for is_swapped, answers in zip(ORDERS, (original, swapped), strict=True):
        shown = {"first": "AB"[is_swapped], "second": "BA"[is_swapped], "tie": "tie"}
        letters = ", ".join(shown[answer.verdict] for answer in answers)
        words.append(f"with the {'second' if is_swapped else 'first'} response as A: {letters}")
    return "; ".join(words)


def _told(judge: Judge, asked: list[Asked]) -> dict[str, Any]:
    told = {
        "prompt": prompt_name(judge),
        "prompt_version": judge.prompt_version,
        "model": judge.model_name,
        "model_reported": asked[-1].reply.model_reported,
        "input_tokens": sum(one.reply.input_tokens for one in asked),
        "output_tokens": sum(one.reply.output_tokens for one in asked),
    }
    if asked[-1].reply.fingerprint:
        told["fingerprint"] = asked[-1].reply.fingerprint
    return told


def _compared(judge: Judge, asked: list[Asked], pairs: Mapping[Pair, Any]) -> dict[str, Any]:
    """How more than two responses were compared, and what each order said of each pair."""
    extra: dict[str, Any] = {
        "ranking_by": judge.ranking_by,
        "pairs": [
            [first, second, _order_word(original), _order_word(swapped)]
            for (first, second), (original, swapped) in pairs.items()
        ],
    }
    rated = [one.answer.ratings for one in asked if isinstance(one.answer, RankingAnswer)]
    known = [ratings for ratings in rated if ratings is not None]
    if known:
        extra["ratings"] = [fmean(column) for column in zip(*known, strict=True)]
    return extra


def _order_word(answers: Sequence[JudgeAnswer]) -> str:
    """Return the verdict that the replies of one order come to."""
    return combine_samples(answers, answers).verdict


def _orders(asked: list[Asked], combined: CombinedVerdict) -> dict[str, Any]:
    """What each reply about two responses said, and how sure it was."""
    read = [(one, one.answer) for one in asked if isinstance(one.answer, JudgeAnswer)]
    extra: dict[str, Any] = {
        "orders": [_order(one, answer) for one, answer in read],
        "order_inconsistent": combined.is_conflict,
        "sample_share": fmean(answer.verdict == combined.verdict for _, answer in read),
    }
    sure = [one.first_probability for one, _ in read if one.first_probability is not None]
    if sure:
        extra["first_probability"] = fmean(sure)
    rated = [answer.ratings for _, answer in read if answer.ratings]
    if rated:
        extra["ratings"] = [fmean(pair[place] for pair in rated) for place in (0, 1)]
    return extra


def _order(asked: Asked, answer: JudgeAnswer) -> dict[str, Any]:
    order: dict[str, Any] = {
        "swapped": asked.ask.swapped,
        "verdict": answer.verdict,
        "strength": answer.strength,
    }
    if asked.ask.sample:
        order["sample"] = asked.ask.sample
    if asked.first_probability is not None:
        order["first_probability"] = asked.first_probability
    return order

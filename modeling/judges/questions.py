"""Comparisons as questions to a judge, and replies as verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from annotate.models import Comparison, Project
from modeling.core.judge_prompts import (
    MAX_REPLY_TOKENS,
    JudgeAnswer,
    JudgeQuestion,
    Message,
    UnparsableReply,
    judge_messages,
    parse_reply,
    request_hash,
)
from modeling.models import Judge

ORDERS = (False, True)
ATTEMPTS = (0, 1)
"""A question is asked once, and once more after an unparsable reply."""
MESSAGE_OVERHEAD_TOKENS = 16
CHARACTERS_PER_TOKEN = 4
TYPICAL_REPLY_TOKENS = 60


@dataclass(frozen=True)
class Ask:
    """One question in one order, ready to be sent or found in the cache."""

    comparison_id: int
    swapped: bool
    attempt: int
    messages: tuple[Message, ...]
    hash: str


def question_of(comparison: Comparison, *, project: Project) -> JudgeQuestion:
    """Put a comparison of two responses, with the project's rules, in the judge's form."""
    slots = comparison.slots.select_related("response").order_by("position")
    first, second = (slot.response.text for slot in slots)
    guideline = project.guidelines.order_by("-version").first()
    return JudgeQuestion(
        turns=tuple(comparison.prompt.turns),
        first=first,
        second=second,
        criterion=comparison.criterion,
        guideline=guideline.body if guideline else "",
        allow_tie=project.protocol.allow_tie,
    )


def ask_of(
    judge: Judge, comparison_id: int, question: JudgeQuestion, *, swapped: bool, attempt: int = 0
) -> Ask:
    """Write one question in one order."""
    version = judge.prompt_version
    messages = judge_messages(question, swapped=swapped, version=version)
    name = request_hash(judge.model_name, messages, version=version, attempt=attempt)
    return Ask(comparison_id, swapped, attempt, tuple(messages), name)


def answer_of(text: str, *, swapped: bool, allow_tie: bool) -> JudgeAnswer | None:
    """Read a reply; ``None`` when it does not follow the format."""
    try:
        return parse_reply(text, swapped=swapped, allow_tie=allow_tie)
    except UnparsableReply:
        return None


def cost_usd(judge: Judge, *, input_tokens: int, output_tokens: int) -> Decimal:
    """Price tokens."""
    million = Decimal(1_000_000)
    price = (
        judge.input_usd_per_million_tokens * input_tokens
        + judge.output_usd_per_million_tokens * output_tokens
    )
    # Rounded up, so that a sum of reservations is never below the sum of costs.
    return (Decimal(price) / million).quantize(Decimal("0.000001"), rounding="ROUND_UP")


def largest_input_tokens(ask: Ask) -> int:
    """Bound a question's tokens from above: no tokeniser makes more tokens than bytes."""
    content = sum(len(message["content"].encode()) for message in ask.messages)
    return content + MESSAGE_OVERHEAD_TOKENS * len(ask.messages)


def largest_cost_usd(judge: Judge, asks: list[Ask]) -> Decimal:
    """Bound the price of asking these questions from above."""
    each = [
        cost_usd(judge, input_tokens=largest_input_tokens(ask), output_tokens=MAX_REPLY_TOKENS)
        for ask in asks
    ]
    return sum(each, Decimal(0))


def usual_input_tokens(ask: Ask) -> int:
    """Estimate a question's tokens at four characters a token."""
    characters = sum(len(message["content"]) for message in ask.messages)
    return characters // CHARACTERS_PER_TOKEN + MESSAGE_OVERHEAD_TOKENS

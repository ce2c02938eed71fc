"""Comparisons as questions to a judge, and replies as verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet

from annotate.models import Comparison, Project, Protocol
from modeling.core.judge_prompts import (
    MAX_REPLY_TOKENS,
    JudgeQuestion,
    Message,
    judge_messages,
    request_hash,
)
from modeling.core.judge_rankings import MAX_RESPONSES, RankingAnswer, compared_pairs
from modeling.core.judge_replies import JudgeAnswer, UnparsableReply, parse_reply
from modeling.core.judge_templates import (
    STANDARD_LIST_INSTRUCTIONS,
    PromptTemplate,
    parse_template_ranking,
    parse_template_reply,
    template_messages,
    template_schema,
)
from modeling.judges.privacy import redacted
from modeling.models import Judge, JudgePrompt

ORDERS = (False, True)
ATTEMPTS = (0, 1)
"""A question is asked once, and once more after an unparsable reply."""
SAMPLING_TEMPERATURE = 0.7
TOP_LOGPROBS = 10
MESSAGE_OVERHEAD_TOKENS = 16
CHARACTERS_PER_TOKEN = 4
TYPICAL_REPLY_TOKENS = 60
TYPICAL_REASON_TOKENS = 200

STANDARD = PromptTemplate(instructions=STANDARD_LIST_INSTRUCTIONS)
"""The standard prompt for more than two responses; with two, the frozen one in its place."""

Places = tuple[int, ...]
AskKey = tuple[Places, bool, int, int]
"""Which responses, whether in reverse order, which sample, which attempt."""
PAIR: Places = (0, 1)


@dataclass(frozen=True)
class Ask:
    """One question in one order, ready to be sent or found in the cache."""

    comparison_id: int
    swapped: bool
    attempt: int
    messages: tuple[Message, ...]
    hash: str
    sample: int = 0
    max_reply_tokens: int = MAX_REPLY_TOKENS
    places: Places = PAIR


def template_of(prompt: JudgePrompt) -> PromptTemplate:
    """Read a stored prompt version."""
    return PromptTemplate(
        instructions=prompt.instructions,
        kind="rating" if prompt.kind == JudgePrompt.Kind.RATING else "pairwise",
        criterion=prompt.criterion,
        principles=tuple(prompt.principles),
        reason_first=prompt.reply_order == JudgePrompt.ReplyOrder.REASON_FIRST,
    )


def prompt_name(judge: Judge) -> str:
    """Name the prompt and version that a judge is asked with."""
    return str(judge.prompt) if judge.prompt else f"standard v{judge.prompt_version}"


def question_of(comparison: Comparison, *, project: Project) -> JudgeQuestion:
    """Put a comparison, with the project's rules, in the judge's form."""
    slots = comparison.slots.select_related("response").order_by("position")
    first, second, *more = (slot.response.text for slot in slots)
    guideline = project.guidelines.order_by("-version").first()
    return JudgeQuestion(
        turns=tuple(comparison.prompt.turns),
        first=first,
        second=second,
        criterion=comparison.criterion,
        guideline=guideline.body if guideline else "",
        allow_tie=project.protocol.allow_tie,
        more=tuple(more),
    )


def judgeable(judge: Judge) -> QuerySet[Comparison]:
    """Comparisons of a judge's project that it can be asked about.

    More than two responses need a protocol under which people rank or rate them too.
    """
    project = judge.annotator.project
    is_pairwise = project.protocol.kind == Protocol.Kind.PAIRWISE
    most = 2 if is_pairwise else MAX_RESPONSES
    return Comparison.objects.filter(project=project, n_responses__lte=most)


def question_redacted(
    question: JudgeQuestion, terms: Sequence[str] = ()
) -> tuple[JudgeQuestion, list[str]]:
    """Replace personal data in everything that came with the data; name the kinds that were found.

    The same value gets the same placeholder in the prompt and in all responses.
    """
    contents = [turn["content"] for turn in question.turns]
    texts = [*contents, question.criterion, *question.responses]
    clean, kinds = redacted(texts, terms)
    turns = [
        {**turn, "content": content} for turn, content in zip(question.turns, clean, strict=False)
    ]
    criterion, first, second, *more = clean[len(contents) :]
    changed = replace(
        question,
        turns=tuple(turns),
        first=first,
        second=second,
        more=tuple(more),
        criterion=criterion,
    )
    return changed, kinds


def ask_of(
    judge: Judge,
    comparison_id: int,
    question: JudgeQuestion,
    *,
    swapped: bool,
    attempt: int = 0,
    sample: int = 0,
    places: Places = PAIR,
) -> Ask:
    """Write one question in one order: ``question`` is about the responses at ``places`` alone."""
    template = template_of(judge.prompt) if judge.prompt else None
    if template is None and not question.more:
        messages = judge_messages(question, swapped=swapped, version=judge.prompt_version)
    else:
        messages = template_messages(template or STANDARD, question, swapped=swapped)
    return Ask(
        comparison_id,
        swapped,
        attempt,
        tuple(messages),
        _hash(judge, messages, attempt, sample),
        sample,
        (template or STANDARD).max_reply_tokens,
        places,
    )


def places_asked(judge: Judge, n_responses: int) -> list[Places]:
    """Return which responses a judge is asked about together: pairs, or all of them."""
    if n_responses > 2 and judge.ranking_by == Judge.RankingBy.LIST:
        return [tuple(range(n_responses))]
    return list(compared_pairs(n_responses, judge.max_pairs))


def asks_of(judge: Judge, comparison_id: int, question: JudgeQuestion) -> dict[AskKey, Ask]:
    """Write every question that a comparison may need, by places, order, sample and attempt."""
    return {
        (places, swapped, sample, attempt): ask_of(
            judge,
            comparison_id,
            question.about(places),
            swapped=swapped,
            attempt=attempt,
            sample=sample,
            places=places,
        )
        for places in places_asked(judge, len(question.responses))
        for swapped in ORDERS
        for sample in range(judge.n_samples)
        for attempt in ATTEMPTS
    }


def answer_of(
    text: str,
    *,
    swapped: bool,
    allow_tie: bool,
    template: PromptTemplate | None = None,
    n_responses: int = 2,
) -> JudgeAnswer | RankingAnswer | None:
    """Read a reply; ``None`` when it does not follow the format."""
    how = {"swapped": swapped, "allow_tie": allow_tie}
    try:
        if n_responses > 2:
            chosen = template or STANDARD
            return parse_template_ranking(chosen, text, n_responses=n_responses, **how)
        if template is None:
            return parse_reply(text, **how)
        return parse_template_reply(template, text, **how)
    except UnparsableReply:
        return None


def request_options(judge: Judge, *, allow_tie: bool, n_responses: int = 2) -> dict[str, Any]:
    """Return what goes into a request beside model, messages and room for the reply."""
    options: dict[str, Any] = {"temperature": SAMPLING_TEMPERATURE if judge.n_samples > 1 else 0.0}
    if judge.ask_logprobs:
        options |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
    if judge.structured == Judge.Structured.JSON_OBJECT:
        options["response_format"] = {"type": "json_object"}
    if judge.structured == Judge.Structured.JSON_SCHEMA:
        template = template_of(judge.prompt) if judge.prompt else STANDARD
        schema = template_schema(template, allow_tie=allow_tie, n_responses=n_responses)
        options["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "verdict", "strict": True, "schema": schema},
        }
    return options


def cost_usd(
    judge: Judge, *, input_tokens: int, output_tokens: int, factor: Decimal = Decimal(1)
) -> Decimal:
    """Price tokens; a batch endpoint asks for a fraction of the usual price."""
    million = Decimal(1_000_000)
    price = (
        judge.input_usd_per_million_tokens * input_tokens
        + judge.output_usd_per_million_tokens * output_tokens
    )
    # Rounded up, so that a sum of reservations is never below the sum of costs.
    return (Decimal(price) * factor / million).quantize(Decimal("0.000001"), rounding="ROUND_UP")


def largest_input_tokens(ask: Ask) -> int:
    """Bound a question's tokens from above: no tokeniser makes more tokens than bytes."""
    content = sum(len(message["content"].encode()) for message in ask.messages)
    return content + MESSAGE_OVERHEAD_TOKENS * len(ask.messages)


def largest_cost_usd(judge: Judge, asks: list[Ask], factor: Decimal = Decimal(1)) -> Decimal:
    """Bound the price of asking these questions from above."""
    each = [
        cost_usd(
            judge,
            input_tokens=largest_input_tokens(ask),
            output_tokens=ask.max_reply_tokens,
            factor=factor,
        )
        for ask in asks
    ]
    return sum(each, Decimal(0))


def usual_input_tokens(ask: Ask) -> int:
    """Estimate a question's tokens at four characters a token."""
    characters = sum(len(message["content"]) for message in ask.messages)
    return characters // CHARACTERS_PER_TOKEN + MESSAGE_OVERHEAD_TOKENS


def usual_reply_tokens(judge: Judge) -> int:
    """Estimate a reply's tokens."""
    is_long = judge.prompt and judge.prompt.reply_order == JudgePrompt.ReplyOrder.REASON_FIRST
    return TYPICAL_REASON_TOKENS if is_long else TYPICAL_REPLY_TOKENS


def _hash(judge: Judge, messages: list[Message], attempt: int, sample: int) -> str:
    # Two judges never share replies: the cache is per judge, so its endpoint needs no mention.
    # How it samples and holds to a schema does; a tie rule stands in the messages.
    how = [judge.model_name, judge.structured]
    if judge.n_samples > 1:
        how.append(f"{SAMPLING_TEMPERATURE}:{sample}")
    return request_hash("\n".join(how), messages, version=judge.prompt_version, attempt=attempt)

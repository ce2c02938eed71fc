"""OpenAI-style batch files: questions as JSONL out, replies as JSONL back. Workers only.

Replies are read into the cache and nowhere else: the run that follows finds them there, asks what
is missing or unreadable, and makes labels by the one rule for all. Reading a file twice adds
nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from annotate.models import Preference
from modeling.judges.asking import Work
from modeling.judges.client import MalformedReply, raw_reply
from modeling.judges.questions import (
    Ask,
    Places,
    answer_of,
    cost_usd,
    judgeable,
    largest_cost_usd,
    request_options,
    template_of,
)
from modeling.judges.verdicts import verdict_word
from modeling.judges.work import WorkMaker
from modeling.models import Judge, JudgeBatch, JudgeReply

URL = "/v1/chat/completions"
MAX_REQUESTS = 50_000
MAX_REQUEST_BYTES = 190 * 2**20
"""What endpoints take in one file; the rest is for another batch."""


@dataclass(frozen=True)
class RequestFile:
    """A request file with the largest price of what it asks, and why it asks no more, if so."""

    content: bytes
    n_requests: int
    largest_usd: Decimal
    cut: str = ""


@dataclass(frozen=True)
class ReplyName:
    """Which question a line of a batch file is about."""

    comparison_id: int
    places: Places
    swapped: bool
    sample: int
    hash: str

    def __str__(self) -> str:
        places = "-".join(map(str, self.places))
        return f"{self.comparison_id}.{places}.{int(self.swapped)}.{self.sample}.{self.hash}"

    @classmethod
    def read(cls, text: str) -> ReplyName:
        """Read a line's ``custom_id``; a ValueError if it is none of ours."""
        comparison_id, places, swapped, sample, name = text.split(".")
        asked = tuple(int(place) for place in places.split("-"))
        return cls(int(comparison_id), asked, bool(int(swapped)), int(sample), name)


def request_file(batch: JudgeBatch) -> RequestFile:
    """Write the first question of every order and sample that is in no cache, up to the cap."""
    judge = batch.judge
    lines: list[str] = []
    total, n_bytes = Decimal(0), 0
    for asks in _open_asks(batch):
        price = largest_cost_usd(judge, asks, batch.price_factor)
        if batch.cap_usd is not None and total + price > batch.cap_usd:
            return RequestFile("".join(lines).encode(), len(lines), total, "the cap allows no more")
        new = [_line(judge, ask) for ask in asks]
        n_bytes += sum(len(line.encode()) for line in new)
        if len(lines) + len(new) > MAX_REQUESTS or n_bytes > MAX_REQUEST_BYTES:
            full = "endpoints take no more in one file"
            return RequestFile("".join(lines).encode(), len(lines), total, full)
        total += price
        lines += new
    return RequestFile("".join(lines).encode(), len(lines), total)


def reply_lines(content: bytes) -> list[str]:
    """Split a file into its lines; texts may hold other separators that Python takes for ends."""
    return content.decode("utf-8", errors="replace").split("\n")


def replies_store(batch: JudgeBatch, requests: bytes, lines: Iterable[str]) -> tuple[int, Decimal]:
    """Put the replies of a batch into the cache; return how many are new and what they cost.

    Lines that are no reply to one of the batch's questions are passed over: the run asks again.
    """
    judge = batch.judge
    asked = dict(_asked(requests))
    replies: dict[str, JudgeReply] = {}
    for line in lines:
        reply = _reply(judge, line, asked, batch.price_factor)
        if reply is not None:
            replies.setdefault(reply.request_hash, reply)
    known = set(
        JudgeReply.objects.filter(judge=judge, request_hash__in=list(replies)).values_list(
            "request_hash", flat=True
        )
    )
    new = [reply for name, reply in replies.items() if name not in known]
    JudgeReply.objects.bulk_create(new, ignore_conflicts=True)
    return len(new), sum((reply.cost_usd for reply in new), Decimal(0))


def _open_asks(batch: JudgeBatch) -> Iterator[list[Ask]]:
    judge = batch.judge
    project = judge.annotator.project
    maker = WorkMaker(judge, project)
    labelled = set(
        Preference.objects.filter(annotator=judge.annotator).values_list("comparison_id", flat=True)
    )
    comparisons = judgeable(judge).filter(pk__in=batch.comparison_ids)
    for comparison in comparisons.select_related("prompt").order_by("pk").iterator(500):
        if comparison.pk in labelled:
            continue
        made = maker.make(comparison)
        # What the judge may not have gets its outcome from the run that follows.
        asks = made.to_pay() if isinstance(made, Work) else []
        first = [ask for ask in asks if ask.attempt == 0]
        if first:
            yield first


def _line(judge: Judge, ask: Ask) -> str:
    allow_tie = judge.annotator.project.protocol.allow_tie
    options = request_options(judge, allow_tie=allow_tie, n_responses=len(ask.places))
    body = {
        "model": judge.model_name,
        "messages": list(ask.messages),
        "max_tokens": ask.max_reply_tokens,
        **options,
    }
    name = ReplyName(ask.comparison_id, ask.places, ask.swapped, ask.sample, ask.hash)
    request = {"custom_id": str(name), "method": "POST", "url": URL, "body": body}
    return json.dumps(request, ensure_ascii=False) + "\n"


def _asked(requests: bytes) -> Iterator[tuple[str, list[dict[str, str]]]]:
    for line in filter(None, reply_lines(requests)):
        request = json.loads(line)
        yield request["custom_id"], request["body"]["messages"]


def _reply(
    judge: Judge, line: str, asked: dict[str, list[dict[str, str]]], factor: Decimal
) -> JudgeReply | None:
    try:
        entry = json.loads(line)
        messages = asked[entry["custom_id"]]
        name = ReplyName.read(entry["custom_id"])
        answered = entry["response"]
        if answered.get("status_code", 200) != 200:
            return None
        reply = raw_reply(json.dumps(answered["body"]), messages, 0)
    except (ValueError, TypeError, LookupError, AttributeError, MalformedReply):
        # The file came from outside; whatever a line is instead of a reply, it is not one.
        return None
    template = template_of(judge.prompt) if judge.prompt else None
    # Read once more by the run, with the protocol of that day.
    answer = answer_of(
        reply.text,
        swapped=name.swapped,
        allow_tie=True,
        template=template,
        n_responses=len(name.places),
    )
    shown = reply.shown_first
    return JudgeReply(
        judge=judge,
        comparison_id=name.comparison_id,
        places=list(name.places),
        order_swapped=name.swapped,
        sample=name.sample,
        request_hash=name.hash,
        text=reply.text.replace("\x00", "\ufffd"),
        verdict=verdict_word(answer),
        strength=getattr(answer, "strength", None),
        first_probability=1.0 - shown if shown is not None and name.swapped else shown,
        model_reported=reply.model_reported,
        system_fingerprint=reply.fingerprint,
        input_tokens=reply.input_tokens,
        output_tokens=reply.output_tokens,
        cost_usd=cost_usd(
            judge,
            input_tokens=reply.input_tokens,
            output_tokens=reply.output_tokens,
            factor=factor,
        ),
    )

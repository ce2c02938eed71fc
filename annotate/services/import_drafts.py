"""Rows of an import as COPY takes them, but for the ids that only the database can give.

The thread that reads ahead makes them, so that the one that talks to PostgreSQL has little to do.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from annotate.formats.base import ComparisonRecord, PreferenceRecord
from annotate.formats.json_lines import dump_json
from annotate.models import Preference
from annotate.selectors.records import ORIGIN_KEY
from annotate.services.copying import NULL, json_value, text_value

KEY_SPACE = b"tandem-import"
PROMPT_COLUMNS = ("id", "project_id", "content_hash", "turns")
RESPONSE_COLUMNS = ("id", "prompt_id", "source_model", "content_hash", "text")
SLOT_COLUMNS = ("comparison_id", "response_id", "position", "external_id")
COMPARISON_COLUMNS = (
    "id", "prompt_id", "project_id", "external_id", "criterion", "metadata", "n_responses",
    "wanted_labels", "open_slots", "priority", "skill", "is_reserved", "is_gold", "created_at",
)  # fmt: skip
PREFERENCE_COLUMNS = (
    "id", "comparison_id", "annotator_id", "supersedes_id", "protocol_id", "idempotency_key",
    "verdict", "ranking", "strength", "aspects", "ratings", "spans", "reasons", "rationale",
    "confidence", "probability", "shown_order", "active_ms", "cost_usd", "source", "replicate",
    "is_override", "extra", "created_at",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Destination:
    """What all rows of an import share: project, protocol, its overlap and the time."""

    project_id: int
    protocol_id: int
    overlap: int
    now: str


class ResponseDraft(NamedTuple):
    """One response: what it is known by beside its prompt, its line and its slot's."""

    source_model: str
    content_hash: str
    line: str
    slot: str


class Draft(NamedTuple):
    """One comparison's lines, each from the first column that the file decides."""

    record: ComparisonRecord
    prompt_hash: str
    prompt: str
    responses: tuple[ResponseDraft, ...]
    comparison: str
    preferences: tuple[str, ...]


def draft_of(to: Destination, record: ComparisonRecord) -> Draft:
    """Write the lines of one comparison."""
    prompt_hash = turns_hash(record.turns)
    return Draft(
        record,
        prompt_hash,
        f"{to.project_id}\t{prompt_hash}\t{json_value(record.turns)}\n",
        tuple(_response(place, *response) for place, response in enumerate(record.responses)),
        _comparison(to, record),
        tuple(preference_line(to, record.external_id, label) for label in record.preferences),
    )


def turns_hash(turns: Sequence[dict[str, str]]) -> str:
    """Hash a conversation; equal turns are one prompt."""
    return hashlib.sha256(dump_json(turns, sort_keys=True)).hexdigest()


def _response(place: int, external_id: str, text: str, source_model: str) -> ResponseDraft:
    digest = hashlib.sha256(text.encode()).hexdigest()
    line = f"{text_value(source_model)}\t{digest}\t{text_value(text)}\n"
    return ResponseDraft(source_model, digest, line, f"{place}\t{text_value(external_id)}\n")


def _comparison(to: Destination, record: ComparisonRecord) -> str:
    # The same count as `comparisons_recount`: corrections and replicates take no slot.
    n_human = sum(
        label.kind == "human" and not (label.revision or label.replicate or label.is_override)
        for label in record.preferences
    )
    return (
        f"{to.project_id}\t{text_value(record.external_id)}\t{text_value(record.criterion)}\t"
        f"{_json(record.metadata)}\t{len(record.responses)}\t{to.overlap}\t"
        f"{max(0, to.overlap - n_human)}\t0\t\tf\tf\t{to.now}\n"
    )


def preference_line(to: Destination, external_id: str, label: PreferenceRecord) -> str:
    """Write a verdict from its protocol on."""
    extra = {**label.extra, ORIGIN_KEY: label.origin} if label.origin else label.extra
    source = Preference.Source.SIMULATED if label.is_simulated else Preference.Source.IMPORT
    # What a verdict cost elsewhere is no money of this project; it stays in its origin.
    return (
        f"{to.protocol_id}\t{idempotency_key(to.project_id, external_id, label)}\t{label.verdict}\t"
        f"{_array(label.ranking)}\t{_number(label.strength)}\t{_json(label.aspects)}\t"
        f"{_json(label.ratings)}\t{json_value(label.spans) if label.spans else '[]'}\t"
        f"{_json(label.reasons)}\t{text_value(label.rationale)}\t{_number(label.confidence)}\t"
        f"{_number(label.probability)}\t{_array(label.shown_order)}\t{_number(label.active_ms)}\t"
        f"0\t{source.value}\t{label.replicate}\t{label.is_override}\t{_json(extra)}\t"
        f"{label.created_at or to.now}\n"
    )


def _json(value: dict[str, Any]) -> str:
    return json_value(value) if value else "{}"


def _number(value: float | None) -> str:
    return NULL if value is None else str(value)


def _array(values: tuple[int, ...] | None) -> str:
    return NULL if values is None else "{" + ",".join(map(str, values)) + "}"


def idempotency_key(project_id: int, external_id: str, label: PreferenceRecord) -> str:
    """The key that an imported verdict always gets: the same verdict, the same key."""
    content = dump_json([project_id, external_id, label.key, label.content()], sort_keys=True)
    return hashlib.blake2b(content, digest_size=16, person=KEY_SPACE).hexdigest()

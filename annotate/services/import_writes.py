"""Writing one batch of an import."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from django.db import connection
from django.utils import timezone

from annotate.formats.base import ComparisonRecord, PreferenceRecord
from annotate.formats.json_lines import dump_json
from annotate.models import (
    Annotator,
    Comparison,
    ComparisonResponse,
    Preference,
    Project,
    Prompt,
    Response,
)
from annotate.selectors.records import ORIGIN_KEY
from annotate.services.assignments import comparisons_recount
from annotate.services.copying import ids_reserve, json_text, rows_copy
from annotate.services.import_plans import BatchPlan, ImportTarget, Labels

KEY_SPACE = b"tandem-import"
ResponseKey = tuple[int, str, str]
Values = tuple[Any, ...]


def batch_write(*, target: ImportTarget, plan: BatchPlan) -> None:
    """Write what a plan adds; the caller holds the transaction and the comparison locks."""
    now = timezone.now()
    _annotators_add(target, plan)
    comparisons = _comparisons_add(target, plan.new, now)
    pairs = [(pk, record.external_id, list(record.preferences)) for pk, record in comparisons]
    pairs += [(pk, record.external_id, labels) for pk, (record, labels) in plan.labels.items()]
    _preferences_add(target, pairs, now)
    if plan.labels:
        comparisons_recount(comparison_ids=sorted(plan.labels))
    target.has_comparisons = True


def _annotators_add(target: ImportTarget, plan: BatchPlan) -> None:
    given = [record.preferences for record in plan.new]
    given += [tuple(added) for _, added in plan.labels.values()]
    names: dict[tuple[str, str], bool] = {}
    for labels in given:
        for label in labels:
            names.setdefault((label.kind, label.annotator), label.is_simulated)
    missing = [
        Annotator(project=target.project, kind=kind, name=name, is_simulated=is_simulated)
        for (kind, name), is_simulated in names.items()
        if (kind, name) not in target.annotators
    ]
    for annotator in Annotator.objects.bulk_create(missing):
        target.annotators[annotator.kind, annotator.name] = annotator


def turns_hash(turns: Sequence[dict[str, str]]) -> str:
    """Hash a conversation; equal turns are one prompt."""
    return hashlib.sha256(dump_json(turns, sort_keys=True)).hexdigest()


def text_hash(text: str) -> str:
    """Hash a response's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def _comparisons_add(
    target: ImportTarget, records: list[ComparisonRecord], now: datetime
) -> list[tuple[int, ComparisonRecord]]:
    if not records:
        return []
    hashes = [turns_hash(record.turns) for record in records]
    prompts, is_known = _prompts_add(target, dict(zip(hashes, records, strict=True)))
    placed = [(prompts[digest], record) for digest, record in zip(hashes, records, strict=True)]
    responses = _responses_add(placed, {prompts[digest] for digest in is_known})
    pks = ids_reserve(Comparison, count=len(records))
    made = list(zip(pks, placed, strict=True))
    rows_copy(
        Comparison,
        COMPARISON_COLUMNS,
        (_comparison(target, pk, prompt_id, record, str(now)) for pk, (prompt_id, record) in made),
    )
    rows_copy(
        ComparisonResponse,
        ("comparison_id", "response_id", "position", "external_id"),
        (
            (pk, responses[prompt_id, response.source_model, response.text], place,
             response.external_id)
            for pk, (prompt_id, record) in made
            for place, response in enumerate(record.responses)
        ),
    )  # fmt: skip
    return list(zip(pks, records, strict=True))


COMPARISON_COLUMNS = (
    "id", "project_id", "prompt_id", "external_id", "criterion", "metadata", "n_responses",
    "wanted_labels", "open_slots", "priority", "skill", "is_reserved", "is_gold", "created_at",
)  # fmt: skip


def _comparison(
    target: ImportTarget, pk: int, prompt_id: int, record: ComparisonRecord, now: str
) -> Values:
    overlap = target.protocol.overlap
    # The same count as `comparisons_recount`: corrections and replicates take no slot.
    n_human = sum(
        label.kind == "human" and not (label.revision or label.replicate or label.is_override)
        for label in record.preferences
    )
    return (
        pk, target.project.pk, prompt_id, record.external_id, record.criterion,
        json_text(record.metadata), len(record.responses), overlap, max(0, overlap - n_human),
        0.0, "", False, False, now,
    )  # fmt: skip


# Plain SQL: a thousand values take the queryset as long as the statement itself.
_KNOWN_PROMPTS = (
    "SELECT content_hash, id FROM annotate_prompt WHERE project_id = %s AND content_hash = ANY(%s)"
)


def _prompts_add(
    target: ImportTarget, records: dict[str, ComparisonRecord]
) -> tuple[dict[str, int], set[str]]:
    """Return every prompt's id by its hash, and the hashes that were there already."""
    with connection.cursor() as cursor:
        cursor.execute(_KNOWN_PROMPTS, [target.project.pk, list(records)])
        found = dict(cursor.fetchall())
    missing = [digest for digest in records if digest not in found]
    pks = ids_reserve(Prompt, count=len(missing))
    rows_copy(
        Prompt,
        ("id", "project_id", "turns", "content_hash"),
        (
            (pk, target.project.pk, json_text(records[digest].turns), digest)
            for pk, digest in zip(pks, missing, strict=True)
        ),
    )
    return {**found, **dict(zip(missing, pks, strict=True))}, set(found)


def _responses_add(
    placed: list[tuple[int, ComparisonRecord]], known_prompts: set[int]
) -> dict[ResponseKey, int]:
    """Return every response's id; only prompts that were there can have some of them already."""
    keys: dict[ResponseKey, str] = {
        (prompt_id, response.source_model, response.text): ""
        for prompt_id, record in placed
        for response in record.responses
    }
    for key in keys:
        keys[key] = text_hash(key[2])
    found = _known_responses(keys, known_prompts)
    missing = [key for key in keys if key not in found]
    pks = ids_reserve(Response, count=len(missing))
    rows_copy(
        Response,
        ("id", "prompt_id", "source_model", "text", "content_hash"),
        ((pk, *key, keys[key]) for pk, key in zip(pks, missing, strict=True)),
    )
    return {**found, **dict(zip(missing, pks, strict=True))}


def _known_responses(
    keys: dict[ResponseKey, str], known_prompts: set[int]
) -> dict[ResponseKey, int]:
    if not known_prompts:
        return {}
    present = Response.objects.filter(prompt_id__in=known_prompts)
    fields = ("prompt_id", "source_model", "content_hash", "pk")
    held = {
        (prompt, model, digest): pk for prompt, model, digest, pk in present.values_list(*fields)
    }
    return {
        key: held[key[0], key[1], digest]
        for key, digest in keys.items()
        if (key[0], key[1], digest) in held
    }


PREFERENCE_COLUMNS = (
    "id", "comparison_id", "annotator_id", "protocol_id", "idempotency_key", "supersedes_id",
    "verdict", "ranking", "strength", "aspects", "ratings", "spans", "reasons", "rationale",
    "confidence", "probability", "shown_order", "active_ms", "cost_usd", "source", "replicate",
    "is_override", "extra", "created_at",
)  # fmt: skip


def _preferences_add(
    target: ImportTarget, labelled: list[tuple[int, str, Labels]], now: datetime
) -> None:
    n_labels = sum(len(labels) for _, _, labels in labelled)
    pks = iter(ids_reserve(Preference, count=n_labels))
    heads = _heads([pk for pk, _, labels in labelled if any(x.revision for x in labels)])
    rows_copy(Preference, PREFERENCE_COLUMNS, _preferences(target, labelled, pks, heads, str(now)))


def _preferences(
    target: ImportTarget,
    labelled: list[tuple[int, str, Labels]],
    pks: Iterator[int],
    heads: dict[tuple[int, int, int], int],
    now: str,
) -> Iterator[Values]:
    for comparison_id, external_id, labels in labelled:
        for label in labels:
            pk = next(pks)
            annotator_id = target.annotators[label.kind, label.annotator].pk
            chain = (comparison_id, annotator_id, label.replicate)
            key = idempotency_key(target.project, external_id, label)
            before = heads[chain] if label.revision else None
            heads[chain] = pk
            yield (
                pk, comparison_id, annotator_id, target.protocol.pk, key, before,
                *_verdict(label, now),
            )  # fmt: skip


def _heads(comparison_ids: list[int]) -> dict[tuple[int, int, int], int]:
    """The standing verdict of each annotator on the comparisons that receive corrections."""
    rows = Preference.objects.current().filter(comparison_id__in=comparison_ids)
    fields = ("comparison_id", "annotator_id", "replicate", "pk")
    return {(c, a, r): pk for c, a, r, pk in rows.values_list(*fields)}


def _verdict(label: PreferenceRecord, now: str) -> Values:
    Source = Preference.Source
    extra = {**label.extra, ORIGIN_KEY: label.origin} if label.origin else label.extra
    return (
        label.verdict, _array(label.ranking), label.strength, _json(label.aspects),
        _json(label.ratings), json_text(label.spans) if label.spans else "[]",
        _json(label.reasons), label.rationale, label.confidence, label.probability,
        _array(label.shown_order), label.active_ms,
        # What a verdict cost elsewhere is no money of this project; it stays in its origin.
        0, (Source.SIMULATED if label.is_simulated else Source.IMPORT).value, label.replicate,
        label.is_override, _json(extra), str(label.created_at) if label.created_at else now,
    )  # fmt: skip


def _json(value: dict[str, Any]) -> str:
    return json_text(value) if value else "{}"


def _array(values: tuple[int, ...] | None) -> str | None:
    return None if values is None else "{" + ",".join(map(str, values)) + "}"


def idempotency_key(project: Project, external_id: str, label: PreferenceRecord) -> str:
    """The key that an imported verdict always gets: the same verdict, the same key."""
    content = dump_json([project.pk, external_id, label.key, label.content()], sort_keys=True)
    return hashlib.blake2b(content, digest_size=16, person=KEY_SPACE).hexdigest()

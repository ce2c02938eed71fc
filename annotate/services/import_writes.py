"""Writing one batch of an import."""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from django.utils import timezone

from annotate.formats.base import ComparisonRecord, PreferenceRecord
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
from annotate.services.copying import ids_reserve, rows_copy
from annotate.services.import_plans import BatchPlan, ImportTarget, Labels

KEY_SPACE = UUID("6f0c3f0e-6a52-5c8e-9d2f-7403a1d0c0de")
ResponseKey = tuple[int, str, str]
Values = dict[str, Any]


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
    labels = [label for record in plan.new for label in record.preferences]
    labels += [label for _, added in plan.labels.values() for label in added]
    names: dict[tuple[str, str], bool] = {}
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
    canonical = json.dumps(list(turns), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def text_hash(text: str) -> str:
    """Hash a response's text."""
    return hashlib.sha256(text.encode()).hexdigest()


def _comparisons_add(
    target: ImportTarget, records: list[ComparisonRecord], now: datetime
) -> list[tuple[int, ComparisonRecord]]:
    hashes = [turns_hash(record.turns) for record in records]
    prompts = _prompts_add(target, dict(zip(hashes, records, strict=True)))
    placed = [(prompts[digest], record) for digest, record in zip(hashes, records, strict=True)]
    responses = _responses_add(placed)
    pks = ids_reserve(Comparison, count=len(records))
    rows = [
        _comparison(target, pk, prompt_id, record, now)
        for pk, (prompt_id, record) in zip(pks, placed, strict=True)
    ]
    rows_copy(Comparison, rows)
    slots = [
        slot
        for pk, (prompt_id, record) in zip(pks, placed, strict=True)
        for slot in _slots(pk, prompt_id, record, responses)
    ]
    rows_copy(ComparisonResponse, slots)
    return list(zip(pks, records, strict=True))


def _comparison(
    target: ImportTarget, pk: int, prompt_id: int, record: ComparisonRecord, now: datetime
) -> Values:
    overlap = target.protocol.overlap
    # The same count as `comparisons_recount`: corrections and replicates take no slot.
    n_human = sum(
        label.kind == "human" and not (label.revision or label.replicate or label.is_override)
        for label in record.preferences
    )
    return {
        "id": pk,
        "project_id": target.project.pk,
        "prompt_id": prompt_id,
        "external_id": record.external_id,
        "criterion": record.criterion,
        "metadata": record.metadata,
        "n_responses": len(record.responses),
        "wanted_labels": overlap,
        "open_slots": max(0, overlap - n_human),
        "priority": 0.0,
        "skill": "",
        "is_reserved": False,
        "is_gold": False,
        "created_at": now,
    }


def _slots(
    pk: int, prompt_id: int, record: ComparisonRecord, responses: dict[ResponseKey, int]
) -> list[Values]:
    return [
        {
            "comparison_id": pk,
            "response_id": responses[prompt_id, response.source_model, text_hash(response.text)],
            "position": position,
            "external_id": response.external_id,
        }
        for position, response in enumerate(record.responses)
    ]


def _prompts_add(target: ImportTarget, records: dict[str, ComparisonRecord]) -> dict[str, int]:
    present = Prompt.objects.filter(project=target.project, content_hash__in=list(records))
    found = dict(present.values_list("content_hash", "pk"))
    missing = [digest for digest in records if digest not in found]
    pks = ids_reserve(Prompt, count=len(missing))
    rows: list[Values] = [
        {
            "id": pk,
            "project_id": target.project.pk,
            "turns": records[digest].turns,
            "content_hash": digest,
        }
        for pk, digest in zip(pks, missing, strict=True)
    ]
    rows_copy(Prompt, rows)
    return {**found, **dict(zip(missing, pks, strict=True))}


def _responses_add(placed: list[tuple[int, ComparisonRecord]]) -> dict[ResponseKey, int]:
    texts: dict[ResponseKey, str] = {}
    for prompt_id, record in placed:
        for response in record.responses:
            texts[prompt_id, response.source_model, text_hash(response.text)] = response.text
    fields = ("prompt_id", "source_model", "content_hash")
    present = Response.objects.filter(prompt_id__in={key[0] for key in texts})
    found: dict[ResponseKey, int] = {
        (prompt_id, model, digest): pk
        for prompt_id, model, digest, pk in present.values_list(*fields, "pk")
    }
    missing = [key for key in texts if key not in found]
    pks = ids_reserve(Response, count=len(missing))
    rows: list[Values] = [
        {"id": pk, "text": texts[key], **dict(zip(fields, key, strict=True))}
        for pk, key in zip(pks, missing, strict=True)
    ]
    rows_copy(Response, rows)
    return {**found, **dict(zip(missing, pks, strict=True))}


def _preferences_add(
    target: ImportTarget, labelled: list[tuple[int, str, Labels]], now: datetime
) -> None:
    n_labels = sum(len(labels) for _, _, labels in labelled)
    pks = iter(ids_reserve(Preference, count=n_labels))
    heads = _heads([pk for pk, _, labels in labelled if any(x.revision for x in labels)])
    rows = []
    for comparison_id, external_id, labels in labelled:
        for label in labels:
            pk, row = next(pks), _preference(target, label, now)
            chain = (comparison_id, row["annotator_id"], label.replicate)
            rows.append(
                {
                    "id": pk,
                    "comparison_id": comparison_id,
                    "idempotency_key": idempotency_key(target.project, external_id, label),
                    "supersedes_id": heads[chain] if label.revision else None,
                    **row,
                }
            )
            heads[chain] = pk
    rows_copy(Preference, rows)


def _heads(comparison_ids: list[int]) -> dict[tuple[int, int, int], int]:
    """The standing verdict of each annotator on the comparisons that receive corrections."""
    rows = Preference.objects.current().filter(comparison_id__in=comparison_ids)
    fields = ("comparison_id", "annotator_id", "replicate", "pk")
    return {(c, a, r): pk for c, a, r, pk in rows.values_list(*fields)}


def _preference(target: ImportTarget, label: PreferenceRecord, now: datetime) -> Values:
    Source = Preference.Source
    origin = {ORIGIN_KEY: label.origin} if label.origin else {}
    return {
        "annotator_id": target.annotators[label.kind, label.annotator].pk,
        "protocol_id": target.protocol.pk,
        "verdict": label.verdict,
        "ranking": list(label.ranking) if label.ranking is not None else None,
        "strength": label.strength,
        "aspects": label.aspects,
        "ratings": label.ratings,
        "spans": label.spans,
        "reasons": label.reasons,
        "rationale": label.rationale,
        "confidence": label.confidence,
        "probability": label.probability,
        "shown_order": list(label.shown_order) if label.shown_order is not None else None,
        "active_ms": label.active_ms,
        # What a verdict cost elsewhere is no money of this project; it stays in its origin.
        "cost_usd": 0,
        "source": (Source.SIMULATED if label.is_simulated else Source.IMPORT).value,
        "replicate": label.replicate,
        "is_override": label.is_override,
        "extra": {**label.extra, **origin},
        "created_at": label.created_at or now,
    }


def idempotency_key(project: Project, external_id: str, label: PreferenceRecord) -> UUID:
    """The key that an imported verdict always gets: the same verdict, the same key."""
    parts = [project.pk, external_id, label.key, label.content()]
    return uuid5(KEY_SPACE, json.dumps(parts, sort_keys=True))

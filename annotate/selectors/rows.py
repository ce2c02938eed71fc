"""Comparisons and verdicts as plain rows: what the API lists and webhooks send."""

from typing import Any

from django.db.models import Prefetch, QuerySet

from annotate.models import Comparison, ComparisonResponse, Preference


def with_texts(found: QuerySet[Comparison]) -> QuerySet[Comparison]:
    """Fetch what ``comparison_row`` needs."""
    slots = ComparisonResponse.objects.select_related("response").order_by("position")
    return found.select_related("prompt").prefetch_related(Prefetch("slots", queryset=slots))


def comparison_row(comparison: Comparison) -> dict[str, Any]:
    """A comparison with its texts; slots and prompt should be fetched already."""
    price = comparison.human_price_usd
    return {
        "pk": comparison.pk,
        "id": comparison.external_id,
        "prompt": comparison.prompt.turns,
        "responses": [
            {"id": s.external_id, "text": s.response.text, "model": s.response.source_model}
            for s in comparison.slots.all()
        ],
        "criterion": comparison.criterion,
        "meta": comparison.metadata,
        "wanted_labels": comparison.wanted_labels,
        "open_slots": comparison.open_slots,
        "priority": comparison.priority,
        "skill": comparison.skill,
        "human_price_usd": None if price is None else str(price),
        "is_gold": comparison.is_gold,
    }


def preference_row(preference: Preference) -> dict[str, Any]:
    """A verdict in canonical order; comparison, annotator and protocol should be fetched."""
    return {
        "id": preference.pk,
        "comparison": preference.comparison.external_id,
        "annotator": preference.annotator.name,
        "kind": preference.annotator.kind,
        "is_simulated": preference.annotator.is_simulated,
        "verdict": preference.verdict,
        "ranking": preference.ranking,
        "strength": preference.strength,
        "rationale": preference.rationale,
        "probability": preference.probability,
        "shown_order": preference.shown_order,
        "active_ms": preference.active_ms,
        "replicate": preference.replicate,
        "supersedes": preference.supersedes_id,
        "source": preference.source,
        "protocol_version": preference.protocol.version,
        "created_at": preference.created_at,
    }

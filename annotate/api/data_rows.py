"""The rows that the data API lists, and how the description shows them."""

from typing import Any

from drf_spectacular.utils import OpenApiParameter, inline_serializer
from rest_framework import serializers

from annotate.models import Annotator, Comparison, Preference


class TurnRow(serializers.Serializer[Any]):
    """One turn of a prompt."""

    role = serializers.CharField()
    content = serializers.CharField()


class ResponseRow(serializers.Serializer[Any]):
    """One response with its source model."""

    id = serializers.CharField()
    text = serializers.CharField()
    model = serializers.CharField()


class ComparisonRow(serializers.Serializer[Any]):
    """One comparison."""

    id = serializers.CharField()
    prompt = TurnRow(many=True)
    responses = ResponseRow(many=True)
    criterion = serializers.CharField()
    meta = serializers.DictField()
    wanted_labels = serializers.IntegerField()
    open_slots = serializers.IntegerField()
    priority = serializers.FloatField()


class PreferenceRow(serializers.Serializer[Any]):
    """One verdict in canonical order."""

    id = serializers.IntegerField()
    comparison = serializers.CharField()
    annotator = serializers.CharField()
    kind = serializers.ChoiceField(choices=Annotator.Kind.choices)
    is_simulated = serializers.BooleanField()
    verdict = serializers.ChoiceField(choices=Preference.Verdict.choices)
    ranking = serializers.ListField(child=serializers.IntegerField(), allow_null=True)
    strength = serializers.FloatField(allow_null=True)
    rationale = serializers.CharField()
    probability = serializers.FloatField(allow_null=True)
    shown_order = serializers.ListField(child=serializers.IntegerField(), allow_null=True)
    active_ms = serializers.IntegerField(allow_null=True)
    replicate = serializers.IntegerField()
    supersedes = serializers.IntegerField(allow_null=True)
    source = serializers.ChoiceField(  # type: ignore[assignment]  # the field, not DRF's own
        choices=Preference.Source.choices
    )
    protocol_version = serializers.IntegerField()
    created_at = serializers.DateTimeField()


CursorPageParameters = [
    OpenApiParameter("cursor", str, description="Where the page starts, from `next`."),
    OpenApiParameter("page_size", int, description="Rows a page, at most 1,000."),
]


def _page_of(name: str, row: serializers.BaseSerializer[Any]) -> serializers.Serializer[Any]:
    return inline_serializer(
        name,
        {
            "next": serializers.URLField(allow_null=True),
            "previous": serializers.URLField(allow_null=True),
            "results": row,
        },
    )


comparison_page_schema = _page_of("ComparisonPage", ComparisonRow(many=True))
preference_page_schema = _page_of("PreferencePage", PreferenceRow(many=True))


def comparison_row(comparison: Comparison) -> dict[str, Any]:
    """List a comparison."""
    return {
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
    }


def preference_row(preference: Preference) -> dict[str, Any]:
    """List a verdict."""
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

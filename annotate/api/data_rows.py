"""How the description shows the rows that the data API lists."""

from typing import Any

from rest_framework import serializers

from annotate.api.common import page_schema
from annotate.api.fields import ChoiceField
from annotate.models import Annotator, Preference


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

    pk = serializers.IntegerField(help_text="The number in addresses.")
    id = serializers.CharField(help_text="The id that its import gave it.")
    prompt = TurnRow(many=True)
    responses = ResponseRow(many=True)
    criterion = serializers.CharField()
    meta = serializers.DictField()
    wanted_labels = serializers.IntegerField()
    open_slots = serializers.IntegerField()
    priority = serializers.FloatField()
    skill = serializers.CharField()
    human_price_usd = serializers.DecimalField(
        max_digits=9,
        decimal_places=4,
        allow_null=True,
        help_text="One human label of it, where routing priced it; null is the project's price.",
    )
    is_gold = serializers.BooleanField()


class PreferenceRow(serializers.Serializer[Any]):
    """One verdict in canonical order."""

    id = serializers.IntegerField()
    comparison = serializers.CharField()
    annotator = serializers.CharField()
    kind = ChoiceField(choices=Annotator.Kind.choices)
    is_simulated = serializers.BooleanField()
    verdict = ChoiceField(choices=Preference.Verdict.choices)
    ranking = serializers.ListField(child=serializers.IntegerField(), allow_null=True)
    strength = serializers.FloatField(allow_null=True)
    rationale = serializers.CharField()
    probability = serializers.FloatField(allow_null=True)
    shown_order = serializers.ListField(child=serializers.IntegerField(), allow_null=True)
    active_ms = serializers.IntegerField(allow_null=True)
    replicate = serializers.IntegerField()
    supersedes = serializers.IntegerField(allow_null=True)
    source = ChoiceField(  # type: ignore[assignment]  # the field, not DRF's own
        choices=Preference.Source.choices
    )
    protocol_version = serializers.IntegerField()
    created_at = serializers.DateTimeField()


comparison_page_schema = page_schema("ComparisonPage", ComparisonRow(many=True))
preference_page_schema = page_schema("PreferencePage", PreferenceRow(many=True), has_previous=True)

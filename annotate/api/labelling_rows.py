"""What the labelling API reads and answers. Nothing here knows a model name or another's label."""

from typing import Any

from rest_framework import serializers

from annotate.api.fields import ChoiceField
from annotate.models import Preference


class NextInput(serializers.Serializer[Any]):
    """Leases that the client already has, and whether it wants its progress told again."""

    exclude = serializers.ListField(child=serializers.UUIDField(), default=list, max_length=20)
    progress = serializers.BooleanField(
        default=True,
        help_text="False saves the count for a client that knows it from its last submit.",
    )


class SpanInput(serializers.Serializer[Any]):
    """A highlight: offsets into the raw text in Unicode code points, the end excluded."""

    response = serializers.IntegerField(min_value=0, max_value=25)
    start = serializers.IntegerField(min_value=0)
    end = serializers.IntegerField(min_value=1)
    category = serializers.CharField(max_length=60)


class SubmitInput(serializers.Serializer[Any]):
    """A verdict in the order in which the responses were shown."""

    idempotency_key = serializers.UUIDField()
    verdict = ChoiceField(choices=Preference.Verdict.choices)
    strength = serializers.IntegerField(default=0, min_value=-10, max_value=10)
    ranking = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=25), required=False, max_length=26
    )
    aspects = serializers.DictField(default=dict)
    ratings = serializers.DictField(
        child=serializers.ListField(child=serializers.IntegerField(), max_length=26), default=dict
    )
    spans = serializers.ListField(child=SpanInput(), default=list, max_length=200)
    reasons = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField(), max_length=20), default=dict
    )
    rationale = serializers.CharField(default="", allow_blank=True, max_length=20_000)
    active_ms = serializers.IntegerField(
        required=False, allow_null=True, min_value=0, max_value=86_400_000
    )
    revise = serializers.BooleanField(default=False)
    protocol_version = serializers.IntegerField(required=False, min_value=1)


class ReturnInput(serializers.Serializer[Any]):
    """When the lease ended as far as the caller knows."""

    expires_at = serializers.DateTimeField(required=False)


class SkipInput(serializers.Serializer[Any]):
    """Why a comparison is skipped."""

    reason = serializers.CharField(default="", allow_blank=True, max_length=300)


class FlagInput(serializers.Serializer[Any]):
    """What is wrong with a comparison."""

    reason = serializers.CharField(max_length=40)
    note = serializers.CharField(default="", allow_blank=True, max_length=500)


class AssignmentOutput(serializers.Serializer[Any]):
    """A lease."""

    id = serializers.UUIDField()
    expires_at = serializers.DateTimeField()
    lease_seconds = serializers.IntegerField()


class TurnOutput(serializers.Serializer[Any]):
    """One turn of the prompt as sanitised HTML."""

    role = serializers.CharField()
    html = serializers.CharField()


class ShownResponseOutput(serializers.Serializer[Any]):
    """One response under a neutral name."""

    label = serializers.CharField()  # type: ignore[assignment]  # the field, not its caption
    html = serializers.CharField()
    text = serializers.CharField()


class ShownComparisonOutput(serializers.Serializer[Any]):
    """A comparison as shown: responses left to right."""

    draft_key = serializers.CharField()
    criterion = serializers.CharField()
    prompt = TurnOutput(many=True)
    responses = ShownResponseOutput(many=True)


class ProgressOutput(serializers.Serializer[Any]):
    """The annotator's own progress."""

    done = serializers.IntegerField()
    open = serializers.IntegerField()
    median_ms = serializers.IntegerField(allow_null=True)


class TaskOutput(serializers.Serializer[Any]):
    """The next comparison, or the reason why there is none."""

    assignment = AssignmentOutput(allow_null=True)
    comparison = ShownComparisonOutput(allow_null=True)
    progress = ProgressOutput(
        allow_null=True, help_text="Null only where the request did not ask for it."
    )
    reason = serializers.CharField()
    given = serializers.DictField(allow_null=True)
    protocol_version = serializers.IntegerField()


class FeedbackOutput(serializers.Serializer[Any]):
    """What the owner lets an annotator know about a label."""

    text = serializers.CharField()
    is_correct = serializers.BooleanField()


class SubmitOutput(serializers.Serializer[Any]):
    """What was stored."""

    preference_id = serializers.IntegerField()
    feedback = FeedbackOutput(allow_null=True)
    progress = ProgressOutput()


class ExpiryOutput(serializers.Serializer[Any]):
    """When the lease ends now."""

    expires_at = serializers.DateTimeField()

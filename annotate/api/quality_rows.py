"""Quality as the API reads and writes it."""

from itertools import combinations
from typing import Any

from rest_framework import serializers

from annotate.api.fields import ChoiceField
from annotate.models import (
    Annotator,
    Flag,
    Gold,
    Preference,
    QualityAlarm,
    QualityPolicy,
    Review,
)
from annotate.quality_signals import Share
from annotate.selectors.quality import display_name
from annotate.selectors.quality_page import Matrix, PersonRow, blind_votes
from annotate.services.gold import accepted_text
from annotate.services.overrides import has_voted, review_order
from annotate.services.reviews import human_votes


class ShareOutput(serializers.Serializer[Any]):
    """A share with its 95 % interval."""

    value = serializers.FloatField(allow_null=True)
    low = serializers.FloatField()
    high = serializers.FloatField()
    n = serializers.IntegerField()


class PersonOutput(serializers.Serializer[Any]):
    """Everything that is measured of one person."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    is_paused = serializers.BooleanField()
    is_qualified = serializers.BooleanField()
    n_labels = serializers.IntegerField()
    agreement = ShareOutput()
    gold = ShareOutput()
    left = ShareOutput()
    repeats = ShareOutput()
    seconds_per_100_tokens = serializers.FloatField(allow_null=True)
    alarms = serializers.ListField(child=serializers.CharField())


class AgreementOutput(serializers.Serializer[Any]):
    """How often two annotators say the same."""

    first = serializers.CharField()
    second = serializers.CharField()
    agreement = ShareOutput()


class AlarmOutput(serializers.Serializer[Any]):
    """An open alarm."""

    id = serializers.IntegerField()
    annotator = serializers.IntegerField()
    name = serializers.CharField()
    kind = ChoiceField(choices=QualityAlarm.Kind.choices)
    message = serializers.CharField()
    data = serializers.DictField()  # type: ignore[assignment]  # the field, not DRF's own
    has_paused = serializers.BooleanField()
    created_at = serializers.DateTimeField()


class CheckOutput(serializers.Serializer[Any]):
    """How many alarms a check raised."""

    n_new = serializers.IntegerField()


class PolicySerializer(serializers.ModelSerializer[QualityPolicy]):
    """How the project watches over its labels."""

    serializer_choice_field = ChoiceField

    class Meta:
        model = QualityPolicy
        exclude = ["id", "project"]


class GoldChangeInput(serializers.Serializer[Any]):
    """What may change about a known answer."""

    accepted = serializers.ListField(
        child=serializers.CharField(max_length=200),
        min_length=1,
        max_length=50,
        help_text="A, B, tie, both bad, cannot judge, or an order such as A > B = C.",
    )
    use = ChoiceField(choices=Gold.Use.choices, required=False)
    explanation = serializers.CharField(required=False, allow_blank=True, max_length=2_000)
    is_active = serializers.BooleanField(required=False)


class GoldInput(serializers.Serializer[Any]):
    """A known answer for a comparison."""

    comparison = serializers.IntegerField(min_value=1)
    accepted = serializers.ListField(
        child=serializers.CharField(max_length=200), min_length=1, max_length=50
    )
    use = ChoiceField(choices=Gold.Use.choices, default=Gold.Use.WORK.value)
    explanation = serializers.CharField(default="", allow_blank=True, max_length=2_000)


class GoldOutput(serializers.Serializer[Any]):
    """A known answer."""

    id = serializers.IntegerField()
    comparison = serializers.IntegerField()
    accepted = serializers.ListField(child=serializers.CharField())
    use = serializers.CharField()
    explanation = serializers.CharField()
    is_active = serializers.BooleanField()
    n_answers = serializers.IntegerField()
    n_correct = serializers.IntegerField()


class FlagOutput(serializers.Serializer[Any]):
    """An open flag."""

    id = serializers.IntegerField()
    comparison = serializers.IntegerField()
    reason = serializers.CharField()
    note = serializers.CharField()
    name = serializers.CharField()
    created_at = serializers.DateTimeField()


class ReviewOutput(serializers.Serializer[Any]):
    """A conflict."""

    id = serializers.IntegerField()
    comparison = serializers.IntegerField()
    reason = serializers.CharField()
    opened_at = serializers.DateTimeField()
    decided_at = serializers.DateTimeField(allow_null=True)


class BlindVoteOutput(serializers.Serializer[Any]):
    """A vote without a name."""

    verdict = serializers.CharField()
    rationale = serializers.CharField()


class ReviewDetailOutput(ReviewOutput):
    """A conflict with its votes, in the order in which the reviewer sees the responses."""

    is_own = serializers.BooleanField()
    prompt = serializers.ListField(child=serializers.DictField())
    responses = serializers.ListField(child=serializers.CharField(), help_text="A, B, … in order.")
    votes = BlindVoteOutput(many=True)


class ReviewInput(serializers.Serializer[Any]):
    """A reviewer's verdict, in the order in which the responses are shown."""

    idempotency_key = serializers.UUIDField()
    verdict = ChoiceField(choices=Preference.Verdict.choices)
    strength = serializers.IntegerField(default=0, min_value=-10, max_value=10)
    ranking = serializers.ListField(
        child=serializers.IntegerField(min_value=0, max_value=25), required=False, max_length=26
    )
    rationale = serializers.CharField(default="", allow_blank=True, max_length=20_000)


class AttemptOutput(serializers.Serializer[Any]):
    """One of the caller's tries; right answers are told once it is over."""

    number = serializers.IntegerField()
    n_questions = serializers.IntegerField()
    n_answered = serializers.IntegerField()
    has_passed = serializers.BooleanField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class QualificationOutput(serializers.Serializer[Any]):
    """Where the caller stands in the test."""

    is_required = serializers.BooleanField()
    has_passed = serializers.BooleanField()
    text = serializers.CharField()
    can_start = serializers.BooleanField()
    attempts = AttemptOutput(many=True)


def share_row(share: Share) -> dict[str, Any]:
    """A share."""
    return {"value": share.value, "low": share.low, "high": share.high, "n": share.n}


def person_row(row: PersonRow) -> dict[str, Any]:
    """One person's figures."""
    return {
        "id": row.annotator.pk,
        "name": row.name,
        "is_paused": row.annotator.paused_at is not None,
        "is_qualified": row.annotator.qualified_at is not None,
        "n_labels": row.n_labels,
        "agreement": share_row(row.agreement),
        "gold": share_row(row.gold),
        "left": share_row(row.left),
        "repeats": share_row(row.repeats),
        "seconds_per_100_tokens": row.speed.per_100_s if row.speed else None,
        "alarms": [alarm.kind for alarm in row.alarms],
    }


def agreement_rows(matrix: Matrix) -> list[dict[str, Any]]:
    """Each pair that shares a comparison."""
    rows = []
    for first, second in combinations(range(len(matrix.names)), 2):
        share = matrix.cells[first][second]
        if share is not None:
            names = {"first": matrix.names[first], "second": matrix.names[second]}
            rows.append({**names, "agreement": share_row(share)})
    return rows


def alarm_row(alarm: QualityAlarm) -> dict[str, Any]:
    """An alarm."""
    return {
        "id": alarm.pk,
        "annotator": alarm.annotator_id,
        "name": display_name(alarm.annotator),
        "kind": alarm.kind,
        "message": alarm.message,
        "data": alarm.data,
        "has_paused": alarm.has_paused,
        "created_at": alarm.created_at,
    }


def gold_row(gold: Gold) -> dict[str, Any]:
    """A known answer; counts are there where the selector added them."""
    return {
        "id": gold.pk,
        "comparison": gold.comparison_id,
        "accepted": accepted_text(gold.accepted).splitlines(),
        "use": gold.use,
        "explanation": gold.explanation,
        "is_active": gold.is_active,
        "n_answers": getattr(gold, "n_answers", 0),
        "n_correct": getattr(gold, "n_correct", 0),
    }


def flag_row(flag: Flag) -> dict[str, Any]:
    """A flag."""
    return {
        "id": flag.pk,
        "comparison": flag.comparison_id,
        "reason": flag.reason,
        "note": flag.note,
        "name": display_name(flag.annotator),
        "created_at": flag.created_at,
    }


def review_row(review: Review) -> dict[str, Any]:
    """A conflict."""
    return {
        "id": review.pk,
        "comparison": review.comparison_id,
        "reason": review.reason,
        "opened_at": review.opened_at,
        "decided_at": review.decided_at,
    }


def review_detail(review: Review, annotator: Annotator) -> dict[str, Any]:
    """A conflict as one reviewer sees it; their own conflicts come without votes."""
    order = review_order(review=review, annotator=annotator)
    is_own = has_voted(review=review, annotator=annotator)
    votes = [] if is_own else human_votes(comparison_id=review.comparison_id)
    slots = review.comparison.slots.select_related("response").order_by("position")
    texts = [slot.response.text for slot in slots]
    return {
        **review_row(review),
        "is_own": is_own,
        "prompt": review.comparison.prompt.turns,
        "responses": [texts[index] for index in order],
        "votes": [
            {"verdict": vote.verdict, "rationale": vote.rationale}
            for vote in blind_votes(votes=votes, order=order)
        ],
    }

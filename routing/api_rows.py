"""What the API says about studies, batches, decisions and rounds."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from routing.models import (
    AcquisitionPick,
    AcquisitionRound,
    ReplayRun,
    RoutingArm,
    RoutingBatch,
    RoutingDecision,
)
from routing.models import RoutingStudy as Study
from routing.selectors import picks_of

_JOB_FIELDS = ("state", "progress", "message", "created_at", "finished_at")


class StudyRow(serializers.ModelSerializer[Study]):
    """A study; ``result`` fills when it is done."""

    judge = serializers.CharField(source="judge.name", allow_null=True)

    class Meta:
        model = Study
        fields = ("number", "judge", "seed", "parameters", "result", *_JOB_FIELDS)


class BatchRow(serializers.ModelSerializer[RoutingBatch]):
    """A batch, or a dry run, which has no number."""

    id = serializers.UUIDField(source="public_id")
    judge = serializers.CharField(source="judge.name", allow_null=True)
    study = serializers.IntegerField(source="study.number", allow_null=True, default=None)

    class Meta:
        model = RoutingBatch
        fields = (
            "id",
            "number",
            "is_dry_run",
            "policy",
            "judge",
            "study",
            "budget_usd",
            "audit_share",
            "n_humans",
            "seed",
            "options",
            "summary",
            "applied_at",
            "undone_at",
            *_JOB_FIELDS,
        )


class DecisionRow(serializers.ModelSerializer[RoutingDecision]):
    """One frozen decision."""

    comparison = serializers.CharField(source="comparison.external_id")
    batch = serializers.IntegerField(source="batch.number")

    class Meta:
        model = RoutingDecision
        fields = (
            "id",
            "batch",
            "comparison",
            "action",
            "n_humans",
            "is_audit",
            "policy",
            "inputs",
            "predicted_gain",
            "gain_low",
            "gain_high",
            "propensity",
            "price_usd",
            "reason",
            "wanted_before",
            "arm",
            "skill",
            "created_at",
        )


class DecisionPage(serializers.Serializer[Any]):
    """A page of decisions."""

    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = DecisionRow(many=True)


class RoundRow(serializers.ModelSerializer[AcquisitionRound]):
    """A round with how much of it is labelled."""

    reward_model = serializers.IntegerField(
        source="reward_model.number", allow_null=True, default=None
    )
    n_picks = serializers.IntegerField()
    n_labelled = serializers.IntegerField()

    class Meta:
        model = AcquisitionRound
        fields = (
            "number",
            "strategy",
            "posterior",
            "pair_rule",
            "batch_size",
            "random_share",
            "seed",
            "reward_model",
            "report",
            "n_picks",
            "n_labelled",
            *_JOB_FIELDS,
        )


class PickRow(serializers.ModelSerializer[AcquisitionPick]):
    """One pick with the terms of its utility."""

    comparison = serializers.CharField(source="comparison.external_id")
    pair_of = serializers.CharField(source="parent.external_id", allow_null=True, default=None)
    is_labelled = serializers.BooleanField()

    class Meta:
        model = AcquisitionPick
        fields = (
            "rank",
            "comparison",
            "pair_of",
            "is_random",
            "utility",
            "uncertainty",
            "entropy",
            "is_labelled",
        )


class RoundDetail(RoundRow):
    """A round with its picks."""

    picks = serializers.SerializerMethodField()

    class Meta:
        model = AcquisitionRound
        fields = (*RoundRow.Meta.fields, "map", "picks")

    @extend_schema_field(PickRow(many=True))
    def get_picks(self, row: AcquisitionRound) -> Any:
        return PickRow(picks_of(acquisition_round=row), many=True).data


class ArmRow(serializers.ModelSerializer[RoutingArm]):
    """A group of people at its own price."""

    class Meta:
        model = RoutingArm
        fields = ("id", "name", "n_humans", "skill", "price_usd", "reliability")


class ReplayRow(serializers.ModelSerializer[ReplayRun]):
    """A replay; ``result`` fills when it is done."""

    class Meta:
        model = ReplayRun
        fields = ("number", "name", "parameters", "result", *_JOB_FIELDS)

"""Judges and their runs, training runs and the reward models that come out of them."""

import uuid

from django.contrib.auth.models import User
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from annotate.models import Annotator, Comparison
from modeling.audit_records import AuditFinding, AuditRun, FilterRun
from modeling.core.judge_rankings import MAX_PAIRS, USUAL_PAIRS
from modeling.job_record import Job
from modeling.models_asking import JudgePrompt, ModelFamily
from modeling.models_gates import (
    JudgeAlarm,
    JudgeCalibration,
    JudgeGate,
    JudgeMeasurement,
    JudgePanel,
)
from modeling.reward_records import (
    FeatureRun,
    GateRun,
    OutsideTest,
    Promotion,
    ResponseReward,
    RewardModel,
    ScoreRun,
    TrainingRun,
)

__all__ = [
    "AuditFinding",
    "AuditRun",
    "FeatureRun",
    "FilterRun",
    "GateRun",
    "Job",
    "Judge",
    "JudgeAlarm",
    "JudgeBatch",
    "JudgeCalibration",
    "JudgeGate",
    "JudgeMeasurement",
    "JudgeOutcome",
    "JudgePanel",
    "JudgePrompt",
    "JudgeReply",
    "JudgeRun",
    "JudgeTurn",
    "ModelFamily",
    "OutsideTest",
    "Promotion",
    "ResponseReward",
    "RewardModel",
    "ScoreRun",
    "TrainingRun",
]

MAX_SAMPLES = 9


class Judge(models.Model):
    """How an LLM judge is asked, priced and trusted; the annotator row carries its labels."""

    class Provider(models.TextChoices):
        RECORDED = "recorded", "Recorded verdicts (import)"
        OPENAI = "openai", "OpenAI-compatible endpoint"
        LOCAL = "local", "Local transformers model"
        REWARD_MODEL = "reward_model", "This project's reward model"
        PLUGIN = "plugin", "Plug-in or verifier"
        PANEL = "panel", "Panel of judges"

    class ConflictPolicy(models.TextChoices):
        TIE = "tie", "Record a tie"
        NEEDS_HUMAN = "needs_human", "Record no verdict, leave it to people"

    class Structured(models.TextChoices):
        OFF = "off", "Not asked for; the prompt alone says the format"
        JSON_OBJECT = "json_object", "JSON mode"
        JSON_SCHEMA = "json_schema", "JSON schema (strict)"

    class PiiProfile(models.TextChoices):
        OFF = "off", "Send texts as they are"
        REPLACE = "replace", "Replace personal data by placeholders"
        BLOCK = "block", "Do not send texts with personal data; people get them"

    class RankingBy(models.TextChoices):
        PAIRS = "pairs", "Two at a time, in both orders"
        LIST = "list", "All at once, in two opposite orders"

    annotator = models.OneToOneField(Annotator, on_delete=models.CASCADE, related_name="judge")
    provider = models.CharField(max_length=12, choices=Provider, default=Provider.RECORDED)
    base_url = models.URLField(max_length=300, blank=True, default="")
    model_name = models.CharField(max_length=200, blank=True, default="")
    api_key_env = models.CharField(
        max_length=80,
        blank=True,
        default="",
        help_text="Name of the environment variable that holds the key; the key is never stored.",
    )
    conflict_policy = models.CharField(
        max_length=12, choices=ConflictPolicy, default=ConflictPolicy.TIE
    )
    prompt_version = models.PositiveSmallIntegerField(default=1)
    prompt = models.ForeignKey(
        JudgePrompt,
        null=True,
        blank=True,
        on_delete=models.RESTRICT,
        related_name="judges",
        help_text="The owner's wording; empty for the standard prompt.",
    )
    reward_model = models.ForeignKey(
        "modeling.RewardModel",
        null=True,
        blank=True,
        on_delete=models.RESTRICT,
        related_name="judges",
    )
    plugin = models.CharField(max_length=200, blank=True, default="")
    options = models.JSONField(default=dict, blank=True)
    structured = models.CharField(max_length=12, choices=Structured, default=Structured.OFF)
    n_samples = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(MAX_SAMPLES)]
    )
    ask_logprobs = models.BooleanField(default=False)
    ranking_by = models.CharField(
        max_length=6,
        choices=RankingBy,
        default=RankingBy.PAIRS,
        help_text="How it is asked about more than two responses.",
    )
    max_pairs = models.PositiveSmallIntegerField(
        default=USUAL_PAIRS, validators=[MinValueValidator(1), MaxValueValidator(MAX_PAIRS)]
    )
    pii_terms = models.JSONField(
        default=list,
        blank=True,
        help_text="Names and terms that count as personal data beside the patterns.",
    )
    requests_per_minute = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)]
    )
    tokens_per_minute = models.PositiveIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1)]
    )
    pii_profile = models.CharField(max_length=8, choices=PiiProfile, default=PiiProfile.OFF)
    family = models.CharField(
        max_length=60,
        blank=True,
        default="",
        help_text="The judge's model family; empty to read it from the model's name.",
    )
    allow_related = models.BooleanField(
        default=False, help_text="Whether it may judge responses of its own model family."
    )
    input_usd_per_million_tokens = models.DecimalField(
        max_digits=10, decimal_places=4, default=0, validators=[MinValueValidator(0)]
    )
    output_usd_per_million_tokens = models.DecimalField(
        max_digits=10, decimal_places=4, default=0, validators=[MinValueValidator(0)]
    )
    price_per_label_usd = models.DecimalField(
        max_digits=9,
        decimal_places=6,
        default="0.002000",
        validators=[MinValueValidator(0)],
        help_text="What one judge label is taken to cost before the first run has measured it.",
    )
    measured = models.JSONField(
        default=dict,
        blank=True,
        help_text="Accuracy, kappa and order figures against the human majority, when last taken.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(provider="openai")
                | (~models.Q(base_url="") & ~models.Q(model_name="")),
                name="judge_endpoint_complete",
            ),
            models.CheckConstraint(
                condition=models.Q(n_samples__gte=1, n_samples__lte=MAX_SAMPLES),
                name="judge_samples_in_range",
            ),
        ]

    def __str__(self) -> str:
        return self.annotator.name


class JudgeRun(Job):
    """One pass of a judge over comparisons, under a hard cap of dollars."""

    judge = models.ForeignKey(Judge, on_delete=models.CASCADE, related_name="runs")
    n_comparisons = models.PositiveIntegerField(default=0)
    n_done = models.PositiveIntegerField(default=0)
    n_conflicts = models.PositiveIntegerField(default=0)
    n_unparsed = models.PositiveIntegerField(default=0)
    n_failed = models.PositiveIntegerField(default=0)
    n_to_people = models.PositiveIntegerField(default=0)
    n_workers = models.PositiveSmallIntegerField(default=1)
    input_tokens = models.PositiveBigIntegerField(default=0)
    output_tokens = models.PositiveBigIntegerField(default=0)
    cost_usd = models.DecimalField(max_digits=12, decimal_places=6, default=0)
    cap_usd = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    reserved_usd = models.DecimalField(
        max_digits=12,
        decimal_places=6,
        default=0,
        help_text="Dollars held for questions in flight; given back when a run is taken up again.",
    )
    comparison_ids = models.JSONField(default=list)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.judge} run {self.pk}"


class JudgeReply(models.Model):
    """One raw reply of a judge's endpoint to one question in one order; also the cache."""

    judge = models.ForeignKey(Judge, on_delete=models.CASCADE, related_name="replies")
    comparison = models.ForeignKey(
        Comparison, on_delete=models.CASCADE, related_name="judge_replies"
    )
    places = ArrayField(
        models.PositiveSmallIntegerField(),
        default=list,
        blank=True,
        help_text="Places of the responses asked about in canonical order.",
    )
    order_swapped = models.BooleanField()
    attempt = models.PositiveSmallIntegerField(default=0)
    sample = models.PositiveSmallIntegerField(default=0)
    request_hash = models.CharField(max_length=64)
    text = models.TextField(blank=True)
    verdict = models.CharField(max_length=12, blank=True, default="")
    strength = models.FloatField(null=True, blank=True)
    first_probability = models.FloatField(
        null=True,
        blank=True,
        help_text="P(first canonical response) by the verdict's token probabilities.",
    )
    model_reported = models.CharField(max_length=200, blank=True, default="")
    system_fingerprint = models.CharField(max_length=120, blank=True, default="")
    input_tokens = models.PositiveIntegerField(default=0)
    output_tokens = models.PositiveIntegerField(default=0)
    cost_usd = models.DecimalField(max_digits=12, decimal_places=6, default=0)
    latency_ms = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["judge", "request_hash"], name="judge_reply_once")
        ]

    def __str__(self) -> str:
        return f"{self.judge} on {self.comparison_id}: {self.verdict or 'unparsed'}"


class JudgeTurn(models.Model):
    """A worker's turn at one comparison of a judge, with the dollars it holds for it."""

    judge = models.ForeignKey(Judge, on_delete=models.CASCADE, related_name="turns")
    comparison = models.ForeignKey(Comparison, on_delete=models.CASCADE, related_name="judge_turns")
    run = models.ForeignKey(JudgeRun, on_delete=models.CASCADE, related_name="turns")
    holder = models.UUIDField()
    reserved_usd = models.DecimalField(max_digits=12, decimal_places=6, default=0)
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["judge", "comparison"], name="judge_turn_once")
        ]

    def __str__(self) -> str:
        return f"{self.judge} at {self.comparison_id}"


class JudgeOutcome(models.Model):
    """What one comparison came to in one run: a label, or why there is none."""

    class Kind(models.TextChoices):
        LABELLED = "labelled", "Labelled"
        KNOWN = "known", "Labelled before"
        CONFLICT = "conflict", "Orders disagree"
        UNPARSED = "unparsed", "Unparsable reply"
        FAILED = "failed", "No reply"
        BLOCKED = "blocked", "Personal data"
        RELATED = "related", "Own model family"
        ABSTAINED = "abstained", "Abstained"

    run = models.ForeignKey(JudgeRun, on_delete=models.CASCADE, related_name="outcomes")
    comparison = models.ForeignKey(
        Comparison, on_delete=models.CASCADE, related_name="judge_outcomes"
    )
    kind = models.CharField(max_length=10, choices=Kind)
    detail = models.CharField(max_length=300, blank=True, default="")
    is_conflict = models.BooleanField(default=False)
    is_to_people = models.BooleanField(default=False)
    cost_usd = models.DecimalField(max_digits=12, decimal_places=6, default=0)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["run", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["run", "comparison"], name="judge_outcome_once")
        ]

    def __str__(self) -> str:
        return f"{self.comparison_id}: {self.kind}"


class JudgeBatch(models.Model):
    """Questions of a judge as one request file, answered by the endpoint within hours."""

    class Stage(models.TextChoices):
        PREPARING = "preparing", "Writing the request file"
        READY = "ready", "Request file ready"
        SUBMITTED = "submitted", "At the endpoint"
        READING = "reading", "Reading the replies"
        DONE = "done", "Done"
        FAILED = "failed", "Failed"
        CANCELLED = "cancelled", "Cancelled"

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    judge = models.ForeignKey(Judge, on_delete=models.CASCADE, related_name="batches")
    run = models.OneToOneField(
        JudgeRun, null=True, blank=True, on_delete=models.SET_NULL, related_name="batch"
    )
    stage = models.CharField(max_length=10, choices=Stage, default=Stage.PREPARING)
    message = models.CharField(max_length=500, blank=True, default="")
    comparison_ids = models.JSONField(default=list)
    is_uploaded = models.BooleanField(
        default=True, help_text="Whether Tandem itself sends the file to the endpoint."
    )
    n_requests = models.PositiveIntegerField(default=0)
    n_replies = models.PositiveIntegerField(default=0)
    price_factor = models.DecimalField(max_digits=4, decimal_places=3, default="0.500")
    cap_usd = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    reserved_usd = models.DecimalField(max_digits=12, decimal_places=6, default=0)
    cost_usd = models.DecimalField(max_digits=12, decimal_places=6, default=0)
    request_file = models.CharField(max_length=300, blank=True, default="")
    reply_file = models.CharField(max_length=300, blank=True, default="")
    remote_id = models.CharField(max_length=200, blank=True, default="")
    cancel_requested = models.BooleanField(default=False)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.judge} batch {self.pk}"

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will happen to the batch by itself."""
        return self.stage in (self.Stage.DONE, self.Stage.FAILED, self.Stage.CANCELLED)

"""Judges and their runs, training runs and the reward models that come out of them."""

import uuid

from django.contrib.auth.models import User
from django.core.validators import MinValueValidator
from django.db import models

from annotate.models import Annotator, Comparison, DatasetVersion, JobState, Project


class Judge(models.Model):
    """How an LLM judge is asked, priced and trusted; the annotator row carries its labels."""

    class Provider(models.TextChoices):
        RECORDED = "recorded", "Recorded verdicts (import)"
        OPENAI = "openai", "OpenAI-compatible endpoint"

    class ConflictPolicy(models.TextChoices):
        TIE = "tie", "Record a tie"
        NEEDS_HUMAN = "needs_human", "Record no verdict, leave it to people"

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
            )
        ]

    def __str__(self) -> str:
        return self.annotator.name


class Job(models.Model):
    """Fields that every long task shares: state, progress, message and a way to cancel."""

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    state = models.CharField(max_length=10, choices=JobState, default=JobState.QUEUED)
    progress = models.FloatField(default=0.0)
    message = models.CharField(max_length=500, blank=True, default="")
    cancel_requested = models.BooleanField(default=False)
    attempts = models.PositiveSmallIntegerField(default=0)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        abstract = True

    @property
    def is_finished(self) -> bool:
        """Whether the job has come to an end, good or bad."""
        return self.state in JobState.finished()


class JudgeRun(Job):
    """One pass of a judge over comparisons, under a hard cap of dollars."""

    judge = models.ForeignKey(Judge, on_delete=models.CASCADE, related_name="runs")
    n_comparisons = models.PositiveIntegerField(default=0)
    n_done = models.PositiveIntegerField(default=0)
    n_conflicts = models.PositiveIntegerField(default=0)
    n_unparsed = models.PositiveIntegerField(default=0)
    n_failed = models.PositiveIntegerField(default=0)
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
    order_swapped = models.BooleanField()
    attempt = models.PositiveSmallIntegerField(default=0)
    request_hash = models.CharField(max_length=64)
    text = models.TextField(blank=True)
    verdict = models.CharField(max_length=12, blank=True, default="")
    strength = models.FloatField(null=True, blank=True)
    model_reported = models.CharField(max_length=200, blank=True, default="")
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


class TrainingRun(Job):
    """One attempt at training a reward model, with its parameters and its live curve."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="training_runs")
    dataset_version = models.ForeignKey(
        DatasetVersion, on_delete=models.PROTECT, related_name="training_runs"
    )
    parameters = models.JSONField(default=dict)
    seed = models.PositiveIntegerField(default=0)
    curve = models.JSONField(default=list)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"training run {self.pk}"


class RewardModel(models.Model):
    """A trained reward model: the data version, numbers and artifact it stands for."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="reward_models")
    number = models.PositiveIntegerField()
    training_run = models.OneToOneField(
        TrainingRun, on_delete=models.CASCADE, related_name="reward_model"
    )
    encoder = models.CharField(max_length=120)
    artifact = models.CharField(max_length=300)
    artifact_sha256 = models.CharField(max_length=64)
    metrics = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["project", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="reward_model_once")
        ]

    def __str__(self) -> str:
        return f"rm-{self.number}"

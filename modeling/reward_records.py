"""Reward models: encoding, training, promotion and scores."""

from django.contrib.auth.models import User
from django.db import models

from annotate.models import DatasetVersion, Project, Response
from modeling.job_record import Job


class FeatureRun(Job):
    """One pass that encodes a project's responses into the cache, chunk by chunk."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="feature_runs")
    encoder = models.CharField(max_length=200)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"features {self.encoder} {self.pk}"


class TrainingRun(Job):
    """One attempt at training a reward model, with its parameters and its live curves.

    A run with a ``feature_run`` waits for it; a run that ``repeats`` another has the same data
    version, parameters and seed, and has to come to the same numbers.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="training_runs")
    dataset_version = models.ForeignKey(
        DatasetVersion, on_delete=models.PROTECT, related_name="training_runs"
    )
    parameters = models.JSONField(default=dict)
    seed = models.PositiveIntegerField(default=0)
    curve = models.JSONField(default=list)
    losses = models.JSONField(
        default=list, blank=True, help_text="Steps of a fine-tuning: step, epoch, loss, eval_loss."
    )
    feature_run = models.ForeignKey(
        FeatureRun, null=True, blank=True, on_delete=models.SET_NULL, related_name="training_runs"
    )
    repeats = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.SET_NULL, related_name="repetitions"
    )

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"training run {self.pk}"


class RewardModel(models.Model):
    """A trained reward model: the data version, code, numbers and artifact it stands for."""

    class Kind(models.TextChoices):
        HEADS = "heads", "Heads on frozen features"
        FULL = "full", "Fine-tuned sequence classifier"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="reward_models")
    number = models.PositiveIntegerField()
    training_run = models.OneToOneField(
        TrainingRun, on_delete=models.CASCADE, related_name="reward_model"
    )
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.HEADS)
    encoder = models.CharField(max_length=200)
    artifact = models.CharField(max_length=300)
    artifact_sha256 = models.CharField(max_length=64)
    metrics = models.JSONField(default=dict)
    provenance = models.JSONField(
        default=dict, blank=True, help_text="Code, packages and data that it was made with."
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["project", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="reward_model_once")
        ]

    def __str__(self) -> str:
        return f"rm-{self.number}"


class GateRun(Job):
    """One examination of a reward model for promotion; a model that passes is promoted by it."""

    reward_model = models.ForeignKey(
        RewardModel, on_delete=models.CASCADE, related_name="gate_runs"
    )
    against = models.ForeignKey(
        RewardModel, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    seed = models.PositiveIntegerField(default=0)
    tests = models.JSONField(default=list, blank=True)
    has_passed = models.BooleanField(null=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"gates of {self.reward_model}"


class OutsideTest(Job):
    """A reward model tested on the human labels of another project, which it never learned from."""

    reward_model = models.ForeignKey(
        RewardModel, on_delete=models.CASCADE, related_name="outside_tests"
    )
    tested = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    seed = models.PositiveIntegerField(default=0)
    metrics = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.reward_model} on {self.tested}"


class Promotion(models.Model):
    """A step in which model of a project is the current one; append-only by trigger.

    A rollback takes back the last promotion that still stood; ``reward_model`` is what is current
    after the step, or nothing.
    """

    class Kind(models.TextChoices):
        PROMOTE = "promote", "Promoted"
        ROLLBACK = "rollback", "Rolled back"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="promotions")
    kind = models.CharField(max_length=8, choices=Kind)
    reward_model = models.ForeignKey(
        RewardModel, null=True, on_delete=models.PROTECT, related_name="promotions"
    )
    gate_run = models.OneToOneField(
        GateRun, null=True, on_delete=models.PROTECT, related_name="promotion"
    )
    created_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind="rollback", gate_run__isnull=True)
                | models.Q(kind="promote", gate_run__isnull=False, reward_model__isnull=False),
                name="promotion_needs_gates",
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.reward_model or 'none'}"


class ScoreRun(Job):
    """Rewards of texts that somebody sent, or of every response of the project (no items)."""

    reward_model = models.ForeignKey(
        RewardModel, on_delete=models.CASCADE, related_name="score_runs"
    )
    items = models.JSONField(default=list, blank=True)
    rewards = models.JSONField(default=list, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"scores of {self.reward_model} {self.pk}"


class ResponseReward(models.Model):
    """The reward that a model gives to a response of its project, for exports."""

    reward_model = models.ForeignKey(
        RewardModel, on_delete=models.CASCADE, related_name="response_rewards"
    )
    response = models.ForeignKey(Response, on_delete=models.CASCADE, related_name="rewards")
    reward = models.FloatField()
    spread = models.FloatField(null=True, help_text="Standard deviation over the members.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reward_model", "response"], name="response_reward_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.reward_model} on {self.response_id}: {self.reward:.3f}"

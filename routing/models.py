"""Routing studies, applied batches with their frozen decisions, and acquisition rounds."""

from django.core.validators import MinValueValidator
from django.db import models

from annotate.models import Annotator, Comparison, Project, Prompt
from modeling.models import Job, Judge, RewardModel


class RoutingStudy(Job):
    """A fit of the performance-prediction model on candidate mixes of double-labelled data."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="routing_studies")
    number = models.PositiveIntegerField()
    judge = models.ForeignKey(
        Annotator, null=True, on_delete=models.PROTECT, related_name="routing_studies"
    )
    parameters = models.JSONField(default=dict)
    seed = models.PositiveIntegerField(default=0)
    result = models.JSONField(default=dict, help_text="Validation, noise floor, frontier, tags.")
    ppm = models.JSONField(default=dict, help_text="Cut points, coefficients and covariance.")

    class Meta:
        ordering = ["project", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="routing_study_once")
        ]

    def __str__(self) -> str:
        return f"routing study {self.number}"


class RoutingBatch(Job):
    """One application of a policy under a budget; undoing it is a new row state, not a deletion.

    A dry run is the same row without a number: it plans, reports and changes nothing.
    """

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="routing_batches")
    number = models.PositiveIntegerField(null=True, blank=True)
    is_dry_run = models.BooleanField(default=False)
    study = models.ForeignKey(
        RoutingStudy, null=True, on_delete=models.PROTECT, related_name="batches"
    )
    judge = models.ForeignKey(Annotator, null=True, on_delete=models.PROTECT, related_name="+")
    policy = models.CharField(max_length=40)
    budget_usd = models.DecimalField(
        max_digits=12, decimal_places=2, validators=[MinValueValidator(0)]
    )
    audit_share = models.FloatField(default=0.1)
    n_humans = models.PositiveSmallIntegerField(default=1, validators=[MinValueValidator(1)])
    seed = models.PositiveIntegerField(default=0)
    options = models.JSONField(default=dict, help_text="What only some policies ask for.")
    summary = models.JSONField(default=dict)
    applied_at = models.DateTimeField(null=True, blank=True)
    undone_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["project", "-created_at"]
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="routing_batch_once"),
            models.CheckConstraint(
                condition=models.Q(audit_share__gte=0) & models.Q(audit_share__lte=1),
                name="routing_batch_audit_share_in_unit_interval",
            ),
            models.CheckConstraint(
                condition=models.Q(is_dry_run=False, number__isnull=False)
                | models.Q(is_dry_run=True, number__isnull=True, applied_at__isnull=True),
                name="routing_batch_dry_run_has_no_number",
            ),
            models.CheckConstraint(
                condition=models.Q(undone_at__isnull=True) | models.Q(applied_at__isnull=False),
                name="routing_batch_undone_after_applied",
            ),
        ]

    def __str__(self) -> str:
        return "dry run" if self.is_dry_run else f"routing batch {self.number}"


class RoutingDecision(models.Model):
    """Who one comparison went to and why; a database trigger refuses any change."""

    class Action(models.TextChoices):
        HUMAN = "human", "Human"
        JUDGE = "judge", "Judge"

    batch = models.ForeignKey(RoutingBatch, on_delete=models.CASCADE, related_name="decisions")
    comparison = models.ForeignKey(
        Comparison, on_delete=models.CASCADE, related_name="routing_decisions"
    )
    action = models.CharField(max_length=8, choices=Action)
    n_humans = models.PositiveSmallIntegerField(default=0)
    is_audit = models.BooleanField(default=False)
    policy = models.CharField(max_length=40)
    inputs = models.JSONField(default=dict)
    predicted_gain = models.FloatField(null=True)
    gain_low = models.FloatField(null=True)
    gain_high = models.FloatField(null=True)
    propensity = models.FloatField()
    price_usd = models.DecimalField(max_digits=12, decimal_places=6)
    reason = models.CharField(max_length=300, blank=True, default="")
    wanted_before = models.PositiveSmallIntegerField()
    label_price_usd = models.DecimalField(
        max_digits=9,
        decimal_places=4,
        null=True,
        help_text="One person's label; empty is the project's price.",
    )
    label_price_before_usd = models.DecimalField(max_digits=9, decimal_places=4, null=True)
    arm = models.CharField(max_length=120, blank=True, default="", help_text="Who exactly.")
    skill = models.CharField(max_length=60, blank=True, default="")
    skill_before = models.CharField(max_length=60, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["batch", "comparison"], name="routing_decision_once_per_batch"
            ),
            models.CheckConstraint(
                condition=models.Q(propensity__gt=0) & models.Q(propensity__lte=1),
                name="routing_decision_propensity",
            ),
            models.CheckConstraint(
                condition=models.Q(action="human", n_humans__gte=1)
                | models.Q(action="judge", n_humans=0),
                name="routing_decision_humans_match_action",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.comparison_id} → {self.action}"


class RoutingArm(models.Model):
    """A group of people who may be asked, at their own price; judges are arms by themselves."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="routing_arms")
    name = models.CharField(max_length=60)
    n_humans = models.PositiveSmallIntegerField(default=1, validators=[MinValueValidator(1)])
    skill = models.CharField(
        max_length=60, blank=True, default="", help_text="Only people with this skill."
    )
    price_usd = models.DecimalField(
        max_digits=9, decimal_places=4, validators=[MinValueValidator(0)], help_text="Per label."
    )
    reliability = models.FloatField(
        default=0.9, help_text="How often one of them is right: more than .5, less than 1."
    )

    class Meta:
        ordering = ["project", "price_usd", "name"]
        constraints = [
            models.UniqueConstraint(fields=["project", "name"], name="routing_arm_once"),
            models.CheckConstraint(
                condition=models.Q(reliability__gt=0.5) & models.Q(reliability__lt=1),
                name="routing_arm_better_than_chance",
            ),
            models.CheckConstraint(
                condition=models.Q(price_usd__gte=0), name="routing_arm_price_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ReplayRun(Job):
    """A recorded file replayed under every policy and budget, with its report."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="replay_runs")
    number = models.PositiveIntegerField()
    name = models.CharField(max_length=200, help_text="Name of the file.")
    file = models.FileField(upload_to="replays/")
    parameters = models.JSONField(default=dict)
    result = models.JSONField(default=dict)

    class Meta:
        ordering = ["project", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="replay_run_once")
        ]

    def __str__(self) -> str:
        return f"replay {self.number}"


class TaggingRun(Job):
    """One pass of an LLM over prompts to describe them in eight dimensions."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="tagging_runs")
    judge = models.ForeignKey(Judge, on_delete=models.CASCADE, related_name="tagging_runs")
    cap_usd = models.DecimalField(
        max_digits=12, decimal_places=2, null=True, blank=True, validators=[MinValueValidator(0)]
    )
    cost_usd = models.DecimalField(max_digits=14, decimal_places=6, default=0)
    n_prompts = models.PositiveIntegerField(default=0)
    n_unknown = models.PositiveIntegerField(default=0, help_text="Answers outside the lists.")

    class Meta:
        ordering = ["project", "-created_at"]

    def __str__(self) -> str:
        return f"tagging of {self.n_prompts} prompts"


class PromptTags(models.Model):
    """What an LLM said about one prompt; a changed tagger is a new row."""

    prompt = models.ForeignKey(Prompt, on_delete=models.CASCADE, related_name="tags")
    tagger = models.CharField(max_length=64, help_text="Hash of endpoint, model and questions.")
    values = models.JSONField(default=dict)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["prompt", "tagger"], name="prompt_tags_once")
        ]

    def __str__(self) -> str:
        return f"tags of prompt {self.prompt_id}"


class AcquisitionRound(Job):
    """One batch that a query strategy chose to be labelled next."""

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="acquisition_rounds"
    )
    number = models.PositiveIntegerField()
    strategy = models.CharField(max_length=40)
    batch_size = models.PositiveIntegerField(validators=[MinValueValidator(1)])
    random_share = models.FloatField(default=0.1)
    seed = models.PositiveIntegerField(default=0)
    reward_model = models.ForeignKey(
        RewardModel, null=True, on_delete=models.PROTECT, related_name="acquisition_rounds"
    )
    posterior = models.CharField(max_length=20, default="laplace")
    pair_rule = models.CharField(
        max_length=30,
        blank=True,
        default="",
        help_text="Which two of many responses to ask about; empty: all of them at once.",
    )
    report = models.JSONField(default=dict)
    map = models.JSONField(default=dict, help_text="Places of prompts on two principal axes.")

    class Meta:
        ordering = ["project", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="acquisition_round_once"),
            models.CheckConstraint(
                condition=models.Q(random_share__gte=0) & models.Q(random_share__lte=1),
                name="acquisition_random_share_in_unit_interval",
            ),
        ]

    def __str__(self) -> str:
        return f"acquisition round {self.number}"


class AcquisitionPick(models.Model):
    """One comparison that a round put at the head of the queue, with the terms of its utility."""

    round = models.ForeignKey(AcquisitionRound, on_delete=models.CASCADE, related_name="picks")
    comparison = models.ForeignKey(
        Comparison, on_delete=models.CASCADE, related_name="acquisition_picks"
    )
    parent = models.ForeignKey(
        Comparison,
        null=True,
        on_delete=models.CASCADE,
        related_name="pair_picks",
        help_text="The comparison of many responses that this pair was taken from.",
    )
    rank = models.PositiveIntegerField()
    is_random = models.BooleanField(default=False)
    utility = models.FloatField(null=True)
    uncertainty = models.FloatField(null=True)
    entropy = models.FloatField(null=True)

    class Meta:
        ordering = ["round", "rank"]
        constraints = [
            models.UniqueConstraint(fields=["round", "comparison"], name="pick_once_per_round"),
            models.UniqueConstraint(fields=["round", "rank"], name="pick_rank_once"),
        ]

    def __str__(self) -> str:
        return f"{self.round_id}#{self.rank}"


class AcquisitionPlan(models.Model):
    """How a project's rounds are chosen, and whether the next one starts by itself."""

    project = models.OneToOneField(
        Project, on_delete=models.CASCADE, related_name="acquisition_plan"
    )
    strategy = models.CharField(max_length=40, default="epig_staged-v1")
    posterior = models.CharField(max_length=20, default="laplace")
    pair_rule = models.CharField(max_length=30, blank=True, default="")
    batch_size = models.PositiveIntegerField(default=50, validators=[MinValueValidator(1)])
    initial_size = models.PositiveIntegerField(default=50, validators=[MinValueValidator(1)])
    random_share = models.FloatField(default=0.1)
    is_automatic = models.BooleanField(default=False)
    start_at_share = models.FloatField(default=0.8)
    labels = models.CharField(max_length=8, default="both")
    encoder = models.CharField(max_length=120, default="tfidf")
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(random_share__gte=0, random_share__lte=1),
                name="acquisition_plan_random_share_in_unit_interval",
            ),
            models.CheckConstraint(
                condition=models.Q(start_at_share__gt=0, start_at_share__lte=1),
                name="acquisition_plan_start_share_in_unit_interval",
            ),
        ]

    def __str__(self) -> str:
        return f"acquisition plan of {self.project_id}"


class AcquisitionReplay(Job):
    """Query strategies compared on the labels that a project has already."""

    project = models.ForeignKey(
        Project, on_delete=models.CASCADE, related_name="acquisition_replays"
    )
    number = models.PositiveIntegerField()
    parameters = models.JSONField(default=dict)
    result = models.JSONField(default=dict)

    class Meta:
        ordering = ["project", "-number"]
        constraints = [
            models.UniqueConstraint(fields=["project", "number"], name="acquisition_replay_once")
        ]

    def __str__(self) -> str:
        return f"acquisition replay {self.number}"

"""Preferences: every verdict ever given, append-only."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils.translation import gettext_lazy as _

from annotate.models.annotator import Annotator
from annotate.models.assignment import Assignment
from annotate.models.comparison import Comparison
from annotate.models.project import Protocol


class PreferenceQuerySet(models.QuerySet["Preference"]):
    """Common reads of preferences."""

    def current(self) -> "PreferenceQuerySet":
        """Rows that no later correction replaces."""
        return self.filter(superseded_by__isnull=True)

    def votes(self) -> "PreferenceQuerySet":
        """Rows that labels are made of.

        Known answers and repeated questions measure people and make no label; where a reviewer
        has decided, people's votes give way to that verdict.
        """
        decided = Preference.objects.filter(is_override=True).values("comparison")
        is_vote = models.Q(is_override=True) | ~models.Q(annotator__kind=Annotator.Kind.HUMAN)
        return self.filter(
            is_vote | ~models.Q(comparison__in=decided), comparison__is_gold=False, replicate=0
        )

    def human(self) -> "PreferenceQuerySet":
        """Verdicts of humans."""
        return self.filter(annotator__kind=Annotator.Kind.HUMAN)

    def by_judges(self) -> "PreferenceQuerySet":
        """Verdicts of LLM judges."""
        return self.filter(annotator__kind=Annotator.Kind.JUDGE)


class Preference(models.Model):
    """One verdict of one annotator on one comparison; a database trigger refuses any change.

    ``ranking`` holds one rank per canonical response, 0 best, equal ranks are ties. ``strength``
    is signed in canonical order: negative favours the first response, positive the last. A
    correction is a new row that names the row it supersedes.
    """

    class Verdict(models.TextChoices):
        RANKED = "ranked", _("Ranked")
        TIE = "tie", _("Tie")
        BOTH_BAD = "both_bad", _("Both bad")
        CANNOT_JUDGE = "cannot_judge", _("Cannot judge")

    class Source(models.TextChoices):
        APP = "app", "Given in Tandem"
        IMPORT = "import", "Imported"
        JUDGE = "judge", "Judge run"
        SIMULATED = "simulated", "Simulated"

    comparison = models.ForeignKey(Comparison, on_delete=models.CASCADE, related_name="preferences")
    # `preference_by_annotator` begins with the annotator.
    annotator = models.ForeignKey(
        Annotator, on_delete=models.CASCADE, related_name="preferences", db_index=False
    )
    protocol = models.ForeignKey(Protocol, on_delete=models.CASCADE, related_name="preferences")
    assignment = models.ForeignKey(
        Assignment,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="preferences",
        db_index=False,
    )
    verdict = models.CharField(max_length=16, choices=Verdict)
    ranking = ArrayField(models.PositiveSmallIntegerField(), null=True, blank=True)
    strength = models.FloatField(null=True, blank=True)
    aspects = models.JSONField(default=dict, blank=True)
    ratings = models.JSONField(default=dict, blank=True)
    spans = models.JSONField(default=list, blank=True)
    rationale = models.TextField(blank=True, default="")
    confidence = models.FloatField(null=True, blank=True)
    probability = models.FloatField(
        null=True, blank=True, help_text="A judge's P(first canonical response is preferred)."
    )
    shown_order = ArrayField(models.PositiveSmallIntegerField(), null=True, blank=True)
    active_ms = models.PositiveBigIntegerField(null=True, blank=True)
    cost_usd = models.DecimalField(max_digits=12, decimal_places=6, default=0)
    source = models.CharField(max_length=12, choices=Source)
    reasons = models.JSONField(default=dict, blank=True)
    is_override = models.BooleanField(
        default=False, help_text="A reviewer's verdict, which label rules put above votes."
    )
    replicate = models.PositiveSmallIntegerField(default=0)
    idempotency_key = models.UUIDField()
    supersedes = models.OneToOneField(
        "self", null=True, blank=True, on_delete=models.CASCADE, related_name="superseded_by"
    )
    extra = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    objects = PreferenceQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["annotator", "created_at"], name="preference_by_annotator"),
            # Imported and judges' verdicts have no assignment.
            models.Index(
                fields=["assignment"],
                name="preference_by_assignment",
                condition=models.Q(assignment__isnull=False),
            ),
            models.Index(
                fields=["annotator"],
                name="preference_given",
                condition=models.Q(supersedes__isnull=True),
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["annotator", "idempotency_key"], name="preference_key_once"
            ),
            models.UniqueConstraint(
                fields=["comparison", "annotator", "replicate"],
                condition=models.Q(supersedes__isnull=True),
                name="preference_one_root_per_annotator",
            ),
            models.CheckConstraint(
                condition=(
                    models.Q(verdict__in=["ranked", "tie"], ranking__isnull=False)
                    | models.Q(verdict__in=["both_bad", "cannot_judge"], ranking__isnull=True)
                ),
                name="preference_ranking_matches_verdict",
            ),
            models.CheckConstraint(
                condition=models.Q(probability__isnull=True)
                | (models.Q(probability__gte=0) & models.Q(probability__lte=1)),
                name="preference_probability_in_unit_interval",
            ),
            models.CheckConstraint(
                condition=models.Q(cost_usd__gte=0), name="preference_cost_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.annotator_id} on {self.comparison_id}: {self.verdict}"

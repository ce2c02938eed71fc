"""Quality at the source: known answers, qualification, alarms, flags and reviews."""

from itertools import combinations

from django.contrib.auth.models import User
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from annotate.models.annotator import Annotator
from annotate.models.comparison import Comparison
from annotate.models.preference import Preference
from annotate.models.project import Project

SHARE = [MinValueValidator(0), MaxValueValidator(1)]


def _same_order(known: list[int | None], ranking: list[int]) -> bool:
    """Whether every two responses that ``known`` ranks stand in the same order in ``ranking``."""
    ranked = [(rank, ranking[place]) for place, rank in enumerate(known) if rank is not None]
    return all((a > b) - (a < b) == (c > d) - (c < d) for (a, c), (b, d) in combinations(ranked, 2))


class QualityPolicy(models.Model):
    """How a project watches over its labels while they are given."""

    class Feedback(models.TextChoices):
        NEVER = "never", "Never"
        WRONG = "wrong", "After a wrong answer"
        ALWAYS = "always", "After every known answer"

    project = models.OneToOneField(Project, on_delete=models.CASCADE, related_name="quality_policy")
    gold_share = models.FloatField(default=0.0, validators=SHARE)
    gold_feedback = models.CharField(max_length=8, choices=Feedback, default=Feedback.NEVER)
    pause_below = models.FloatField(null=True, blank=True, validators=SHARE)
    pause_window = models.PositiveSmallIntegerField(default=10, validators=[MinValueValidator(3)])
    repeat_share = models.FloatField(default=0.0, validators=SHARE)
    qualification_required = models.BooleanField(default=False)
    qualification_pass_mark = models.FloatField(default=0.8, validators=SHARE)
    qualification_attempts = models.PositiveSmallIntegerField(
        default=2, validators=[MinValueValidator(1)]
    )
    review_gap = models.PositiveSmallIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Verdicts this many strength steps apart go to a reviewer; empty: none do.",
    )

    def __str__(self) -> str:
        return f"quality policy of {self.project}"

    def tells(self, *, is_correct: bool) -> bool:
        """Whether the annotator learns how they did on a hidden known answer."""
        if self.gold_feedback == self.Feedback.WRONG:
            return not is_correct
        return self.gold_feedback == self.Feedback.ALWAYS


class Gold(models.Model):
    """The known answer of a comparison, with the words that explain it."""

    class Use(models.TextChoices):
        WORK = "work", "Hidden among the work"
        QUALIFICATION = "qualification", "Qualification test"

    comparison = models.OneToOneField(Comparison, on_delete=models.CASCADE, related_name="gold")
    use = models.CharField(max_length=14, choices=Use, default=Use.WORK)
    accepted = models.JSONField(
        help_text="List of accepted verdicts: canonical rankings, 'both_bad' or 'cannot_judge'."
    )
    explanation = models.TextField(blank=True, default="")
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return f"gold {self.comparison_id}"

    def accepts(self, preference: Preference) -> bool:
        """Whether a verdict is one of the known answers.

        A ``None`` in an accepted ranking lets that response stand anywhere; of the others only the
        order counts.
        """
        if preference.ranking is None:
            return preference.verdict in self.accepted
        return any(
            _same_order(known, preference.ranking)
            for known in self.accepted
            if isinstance(known, list)
        )


class GoldResult(models.Model):
    """Whether one verdict on a known answer was right, by the answer as it was then."""

    preference = models.OneToOneField(
        Preference, on_delete=models.CASCADE, related_name="gold_result"
    )
    gold = models.ForeignKey(Gold, on_delete=models.CASCADE, related_name="results")
    annotator = models.ForeignKey(Annotator, on_delete=models.CASCADE, related_name="gold_results")
    is_correct = models.BooleanField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        indexes = [models.Index(fields=["annotator", "-created_at"], name="gold_result_latest")]

    def __str__(self) -> str:
        return f"{self.annotator_id}: {'right' if self.is_correct else 'wrong'}"


class QualificationAttempt(models.Model):
    """One try of one annotator at the qualification test."""

    annotator = models.ForeignKey(
        Annotator, on_delete=models.CASCADE, related_name="qualification_attempts"
    )
    number = models.PositiveSmallIntegerField()
    n_questions = models.PositiveSmallIntegerField()
    n_answered = models.PositiveSmallIntegerField(default=0)
    n_correct = models.PositiveSmallIntegerField(default=0)
    started_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    has_passed = models.BooleanField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["annotator", "number"], name="attempt_once"),
            models.UniqueConstraint(
                fields=["annotator"],
                condition=models.Q(finished_at__isnull=True),
                name="attempt_one_open",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.annotator_id} attempt {self.number}"


class QualityAlarm(models.Model):
    """Something about an annotator's labels that their owner should look at."""

    class Kind(models.TextChoices):
        GOLD = "gold", "Known answers missed"
        SPEED = "speed", "Too fast"
        STRAIGHT_LINE = "straight_line", "Always the same side"
        SELF = "self", "Contradicts themselves"
        AGREEMENT = "agreement", "Agrees with nobody"
        COLLUSION = "collusion", "Same answers as one other"

    annotator = models.ForeignKey(Annotator, on_delete=models.CASCADE, related_name="alarms")
    kind = models.CharField(max_length=14, choices=Kind)
    message = models.CharField(max_length=300)
    data = models.JSONField(default=dict)
    has_paused = models.BooleanField(default=False)
    created_at = models.DateTimeField(auto_now_add=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["annotator", "kind"],
                condition=models.Q(resolved_at__isnull=True),
                name="alarm_one_open_per_kind",
            )
        ]

    def __str__(self) -> str:
        return f"{self.annotator_id}: {self.kind}"


class Flag(models.Model):
    """An annotator's remark that something is wrong with a comparison."""

    comparison = models.ForeignKey(Comparison, on_delete=models.CASCADE, related_name="flags")
    annotator = models.ForeignKey(Annotator, on_delete=models.CASCADE, related_name="flags")
    reason = models.CharField(max_length=40)
    note = models.CharField(max_length=500, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["comparison", "annotator", "reason"],
                condition=models.Q(resolved_at__isnull=True),
                name="flag_once",
            )
        ]

    def __str__(self) -> str:
        return f"{self.comparison_id}: {self.reason}"


class Review(models.Model):
    """A comparison on which people disagree strongly, waiting for a reviewer's verdict."""

    comparison = models.ForeignKey(Comparison, on_delete=models.CASCADE, related_name="reviews")
    reason = models.CharField(max_length=300)
    opened_at = models.DateTimeField(auto_now_add=True)
    preference = models.OneToOneField(
        Preference, null=True, blank=True, on_delete=models.CASCADE, related_name="review"
    )
    reviewer = models.ForeignKey(
        Annotator, null=True, blank=True, on_delete=models.CASCADE, related_name="reviews"
    )
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["opened_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["comparison"],
                condition=models.Q(decided_at__isnull=True),
                name="review_one_open",
            ),
            models.CheckConstraint(
                condition=models.Q(decided_at__isnull=True) | models.Q(preference__isnull=False),
                name="review_decided_has_verdict",
            ),
        ]

    def __str__(self) -> str:
        return f"review of {self.comparison_id}"


class Workbench(models.Model):
    """One user's own keys, language and panels in the labelling workspace."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="workbench")
    keys = models.JSONField(default=dict, blank=True)
    panels = models.JSONField(default=dict, blank=True)
    language = models.CharField(max_length=10, blank=True, default="")

    def __str__(self) -> str:
        return f"workbench of {self.user_id}"

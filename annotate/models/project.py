"""Projects, their versioned protocols and guidelines, and who belongs to them."""

from decimal import Decimal

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

SCALES = (2, 3, 4, 5, 7, 8)
RATING_SCALES = (0, 2, 3, 4, 5, 7, 10)
FLAGS = ("unsafe", "pii", "broken", "off_topic", "other")
SKIP_REASONS = ("too_hard", "not_my_field", "broken", "other")


def default_flags() -> list[str]:
    """The flags that a new protocol offers."""
    return list(FLAGS)


def default_skip_reasons() -> list[str]:
    """The skip reasons that a new protocol offers."""
    return list(SKIP_REASONS)


# What is committed is kept to a millionth of a dollar in fourteen digits.
MAX_BUDGET_USD = Decimal("99999999.99")


class Project(models.Model):
    """One body of comparisons with its people, judges, money and models."""

    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=60, unique=True)
    description = models.TextField(blank=True, default="")
    is_demo = models.BooleanField(default=False)
    human_price_usd = models.DecimalField(
        max_digits=9,
        decimal_places=4,
        default="0.5000",
        validators=[MinValueValidator(0)],
        help_text="What one human label costs, in US dollars.",
    )
    budget_usd = models.DecimalField(
        max_digits=12,
        decimal_places=2,
        null=True,
        blank=True,
        validators=[MinValueValidator(0)],
        help_text="Hard limit for human and judge labels together; empty means no limit.",
    )
    committed_usd = models.DecimalField(
        max_digits=14,
        decimal_places=6,
        default=0,
        help_text="Dollars spent on labels plus dollars reserved by live leases and judge calls.",
    )
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(
        User, null=True, on_delete=models.SET_NULL, related_name="created_projects"
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(human_price_usd__gte=0), name="project_human_price_not_negative"
            ),
            models.CheckConstraint(
                condition=models.Q(budget_usd__isnull=True) | models.Q(budget_usd__gte=0),
                name="project_budget_not_negative",
            ),
            models.CheckConstraint(
                condition=models.Q(committed_usd__gte=0), name="project_committed_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Keep the budget within what spending can be counted up to."""
        if self.budget_usd is not None and self.budget_usd > MAX_BUDGET_USD:
            told = f"A budget is at most {MAX_BUDGET_USD:,} dollars; leave it empty for no limit."
            raise ValidationError({"budget_usd": told})

    @property
    def protocol(self) -> "Protocol":
        """The newest protocol version, under which new labels are given."""
        return self.protocols.latest("version")


class Protocol(models.Model):
    """One frozen version of what annotators are asked; labels name the version they answer."""

    class Kind(models.TextChoices):
        PAIRWISE = "pairwise", "Pairwise"
        RANKING = "ranking", "Ranking"
        RATING = "rating", "Rating"

    class Rationale(models.TextChoices):
        OFF = "off", "Not asked"
        OPTIONAL = "optional", "Optional"
        REQUIRED = "required", "Required"

    class RationaleWhen(models.TextChoices):
        AFTER = "after", "After the verdict"
        BEFORE = "before", "Before the verdict"

    class SkipPolicy(models.TextChoices):
        OTHERS = "others", "Somebody else gets it"
        ME = "me", "It comes back to the same person later"
        NOBODY = "nobody", "Nobody gets it again"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="protocols")
    version = models.PositiveIntegerField()
    kind = models.CharField(max_length=16, choices=Kind, default=Kind.PAIRWISE)
    scale_points = models.PositiveSmallIntegerField(
        default=5, choices=[(n, f"{n} points") for n in SCALES]
    )
    allow_tie = models.BooleanField(default=True)
    allow_both_bad = models.BooleanField(default=True)
    allow_cannot_judge = models.BooleanField(default=False)
    aspects = models.JSONField(
        default=list,
        blank=True,
        help_text='List of {"key", "name", "ask": "strength" | "rating" | "both", "reasons": []}.',
    )
    rating_points = models.PositiveSmallIntegerField(
        default=0, choices=[(n, f"{n} points" if n else "No ratings") for n in RATING_SCALES]
    )
    span_categories = models.JSONField(
        default=list, blank=True, help_text='List of {"key", "name"}; empty: no highlights.'
    )
    flags = models.JSONField(default=default_flags, blank=True)
    skip_reasons = models.JSONField(default=default_skip_reasons, blank=True)
    skip_policy = models.CharField(max_length=8, choices=SkipPolicy, default=SkipPolicy.OTHERS)
    rationale = models.CharField(max_length=16, choices=Rationale, default=Rationale.OPTIONAL)
    rationale_when = models.CharField(
        max_length=8, choices=RationaleWhen, default=RationaleWhen.AFTER
    )
    rationale_min_chars = models.PositiveSmallIntegerField(default=0)
    overlap = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(50)]
    )
    overlap_max = models.PositiveSmallIntegerField(
        default=0,
        validators=[MaxValueValidator(50)],
        help_text="Ask up to this many people while their votes do not settle it; 0: never more.",
    )
    settle_lead = models.PositiveSmallIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(10)],
        help_text="Votes settle a comparison when the leading verdict is this many votes ahead.",
    )
    settle_with_judges = models.BooleanField(
        default=False, help_text="Count a judge's standing verdict as one vote when settling."
    )
    quota = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="Most labels that one person may give here; empty: no limit.",
    )
    lease_seconds = models.PositiveIntegerField(
        default=900, validators=[MinValueValidator(30), MaxValueValidator(86_400)]
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["project", "version"]
        constraints = [
            models.UniqueConstraint(fields=["project", "version"], name="protocol_version_once"),
            models.CheckConstraint(condition=models.Q(overlap__gte=1), name="protocol_overlap_min"),
            models.CheckConstraint(
                condition=models.Q(scale_points__in=SCALES), name="protocol_scale_known"
            ),
            models.CheckConstraint(
                condition=models.Q(lease_seconds__gte=30), name="protocol_lease_min"
            ),
            models.CheckConstraint(
                condition=models.Q(overlap_max=0) | models.Q(overlap_max__gte=models.F("overlap")),
                name="protocol_overlap_max_not_below_overlap",
            ),
            models.CheckConstraint(
                condition=models.Q(rating_points__in=RATING_SCALES), name="protocol_rating_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.project} protocol {self.version}"

    @property
    def max_strength(self) -> int:
        """The largest absolute strength on this scale (2 for five points)."""
        return self.scale_points // 2

    @property
    def is_adaptive(self) -> bool:
        """Whether unsettled comparisons are given to more people."""
        return self.overlap_max > self.overlap

    @property
    def has_midpoint(self) -> bool:
        """Whether the scale has a middle, that is, a verdict without direction."""
        return self.scale_points % 2 == 1

    def clean(self) -> None:
        if self.has_midpoint and not self.allow_tie and self.kind == self.Kind.PAIRWISE:
            raise ValidationError(
                {
                    "allow_tie": "A scale with a middle point needs ties: allow them or use an "
                    "even number of points."
                }
            )


class Guideline(models.Model):
    """One version of the instructions shown beside the work, in Markdown."""

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="guidelines")
    version = models.PositiveIntegerField()
    body = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["project", "version"]
        constraints = [
            models.UniqueConstraint(fields=["project", "version"], name="guideline_version_once")
        ]

    def __str__(self) -> str:
        return f"{self.project} guideline {self.version}"


class Membership(models.Model):
    """A user's role in a project."""

    class Role(models.TextChoices):
        OWNER = "owner", _("Owner")
        REVIEWER = "reviewer", _("Reviewer")
        ANNOTATOR = "annotator", _("Annotator")

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["project", "user"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.user} is {self.role} of {self.project}"

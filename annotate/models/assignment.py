"""Assignments: who holds or held which comparison, and in which order it was shown."""

import uuid
from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from annotate.models.annotator import Annotator
from annotate.models.comparison import Comparison


class Assignment(models.Model):
    """A lease on one slot of a comparison for one annotator."""

    class State(models.TextChoices):
        LIVE = "live", "Live"
        SUBMITTED = "submitted", "Submitted"
        SKIPPED = "skipped", "Skipped"
        RETURNED = "returned", "Returned"
        EXPIRED = "expired", "Expired"

    class Kind(models.TextChoices):
        WORK = "work", "Work"
        GOLD = "gold", "Known answer"
        QUALIFICATION = "qualification", "Qualification"
        REPEAT = "repeat", "Repeated"
        REVIEW = "review", "Review"

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    comparison = models.ForeignKey(Comparison, on_delete=models.CASCADE, related_name="assignments")
    annotator = models.ForeignKey(Annotator, on_delete=models.CASCADE, related_name="assignments")
    state = models.CharField(max_length=12, choices=State, default=State.LIVE)
    kind = models.CharField(max_length=14, choices=Kind, default=Kind.WORK)
    replicate = models.PositiveSmallIntegerField(default=0)
    shown_order = ArrayField(models.PositiveSmallIntegerField())
    leased_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True, blank=True)
    price_usd = models.DecimalField(max_digits=9, decimal_places=4, default=0)
    skip_reason = models.CharField(max_length=300, blank=True, default="")

    class Meta:
        indexes = [
            models.Index(
                fields=["expires_at"],
                name="assignment_live_expiry",
                condition=models.Q(state="live"),
            ),
            models.Index(fields=["annotator", "state"], name="assignment_by_annotator"),
            models.Index(
                fields=["annotator"],
                name="assignment_toward_quota",
                condition=models.Q(kind="work", state__in=["live", "submitted"]),
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["comparison", "annotator", "replicate"],
                condition=models.Q(state__in=["live", "submitted", "skipped"]),
                name="assignment_one_live_or_final",
            ),
            models.CheckConstraint(
                condition=models.Q(state="live") ^ models.Q(closed_at__isnull=False),
                name="assignment_closed_has_time",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.annotator_id} on {self.comparison_id} ({self.state})"

    def is_expired(self, *, at: datetime) -> bool:
        """Whether a live lease has run out at the given time."""
        return self.state == self.State.LIVE and self.expires_at <= at


class QueuePlace(models.Model):
    """How far an annotator has come in the queue: before it nothing was left for them.

    It only saves walking past what somebody has labelled already; docs/decisions/ tells how a slot
    that comes back is never missed. ``rank`` is the negated priority.
    """

    annotator = models.OneToOneField(
        Annotator, primary_key=True, on_delete=models.CASCADE, related_name="queue_place"
    )
    rank = models.FloatField()
    comparison_id = models.BigIntegerField()
    seen_xid = models.BigIntegerField(
        help_text="Every transaction before this one had ended when the place was last moved."
    )
    protocol_id = models.BigIntegerField()
    skills = ArrayField(models.CharField(max_length=60), default=list)
    walked_at = models.DateTimeField(help_text="When the queue was last walked from its head.")
    asked_at = models.DateTimeField(
        db_default=Now(), help_text="When the annotator last asked for a comparison."
    )

    def __str__(self) -> str:
        return f"{self.annotator_id} at {self.rank:g}/{self.comparison_id}"

"""Assignments: who holds or held which comparison, and in which order it was shown."""

import uuid
from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db import models

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

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    comparison = models.ForeignKey(Comparison, on_delete=models.CASCADE, related_name="assignments")
    annotator = models.ForeignKey(Annotator, on_delete=models.CASCADE, related_name="assignments")
    state = models.CharField(max_length=12, choices=State, default=State.LIVE)
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
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["comparison", "annotator"],
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

"""Annotators: the humans and judges whose labels a project holds, treated alike."""

from django.contrib.auth.models import User
from django.contrib.postgres.fields import ArrayField
from django.db import models

from annotate.models.project import Project


class Annotator(models.Model):
    """A human or an LLM judge, known to the project by a pseudonym."""

    class Kind(models.TextChoices):
        HUMAN = "human", "Human"
        JUDGE = "judge", "Judge"

    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="annotators")
    kind = models.CharField(max_length=8, choices=Kind)
    name = models.CharField(max_length=120)
    user = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.SET_NULL, related_name="annotators"
    )
    is_simulated = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)
    paused_at = models.DateTimeField(null=True, blank=True)
    paused_reason = models.CharField(max_length=300, blank=True, default="")
    qualified_at = models.DateTimeField(null=True, blank=True)
    skills = ArrayField(models.CharField(max_length=60), default=list, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["project", "kind", "name"]
        constraints = [
            models.UniqueConstraint(fields=["project", "kind", "name"], name="annotator_once"),
            models.UniqueConstraint(
                fields=["project", "user"],
                condition=models.Q(user__isnull=False),
                name="annotator_one_per_user",
            ),
            models.CheckConstraint(
                condition=models.Q(kind="human") | models.Q(user__isnull=True),
                name="annotator_judge_has_no_user",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_judge(self) -> bool:
        """Whether this annotator is an LLM judge."""
        return self.kind == self.Kind.JUDGE

"""Figures of a project for its home page and lists."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from django.db.models import Count, Q, Sum
from django.utils import timezone

from annotate.models import (
    Annotator,
    Assignment,
    Comparison,
    DatasetVersion,
    ImportJob,
    JobState,
    Preference,
    Project,
    Prompt,
)


@dataclass(frozen=True)
class LabelCounts:
    """How much has been labelled and how much is waiting."""

    n_comparisons: int
    n_prompts: int
    n_human_labels: int
    n_human_labelled: int
    n_simulated: int
    n_open: int


@dataclass(frozen=True)
class Spend:
    """Dollars spent on humans and judges, reserved and left."""

    human_usd: Decimal
    judge_usd: Decimal
    reserved_usd: Decimal
    budget_usd: Decimal | None

    @property
    def spent_usd(self) -> Decimal:
        """Dollars spent in all."""
        return self.human_usd + self.judge_usd

    @property
    def left_usd(self) -> Decimal | None:
        """Dollars left, or ``None`` without a budget."""
        if self.budget_usd is None:
            return None
        return self.budget_usd - self.spent_usd - self.reserved_usd


@dataclass(frozen=True)
class Presence:
    """Somebody who holds a comparison or labelled one lately."""

    name: str
    n_recent: int
    n_live: int


def label_counts(*, project: Project) -> LabelCounts:
    """Count comparisons, labels and open slots."""
    comparisons = Comparison.objects.filter(project=project)
    human = Preference.objects.current().human().filter(comparison__project=project)
    labels = human.aggregate(
        all=Count("pk"),
        comparisons=Count("comparison", distinct=True),
        simulated=Count("pk", filter=Q(annotator__is_simulated=True)),
    )
    return LabelCounts(
        n_comparisons=comparisons.count(),
        n_prompts=Prompt.objects.filter(project=project).count(),
        n_human_labels=labels["all"],
        n_human_labelled=labels["comparisons"],
        n_simulated=labels["simulated"],
        n_open=comparisons.open().count(),
    )


def spend(*, project: Project) -> Spend:
    """Add up what labels have cost and what live leases reserve."""
    sums = Preference.objects.filter(comparison__project=project).aggregate(
        human=Sum("cost_usd", filter=Q(annotator__kind=Annotator.Kind.HUMAN)),
        judge=Sum("cost_usd", filter=Q(annotator__kind=Annotator.Kind.JUDGE)),
    )
    human, judge = sums["human"] or Decimal(0), sums["judge"] or Decimal(0)
    reserved = project.committed_usd - human - judge
    return Spend(human, judge, max(reserved, Decimal(0)), project.budget_usd)


def people_active(*, project: Project, minutes: int = 30) -> list[Presence]:
    """Who holds a lease now or labelled within the last minutes."""
    since = timezone.now() - timedelta(minutes=minutes)
    recent = Q(preferences__created_at__gte=since, preferences__source=Preference.Source.APP)
    live = Q(assignments__state=Assignment.State.LIVE)
    annotators = Annotator.objects.filter(project=project, kind=Annotator.Kind.HUMAN).annotate(
        n_recent=Count("preferences", filter=recent, distinct=True),
        n_live=Count("assignments", filter=live, distinct=True),
    )
    active = annotators.filter(Q(n_recent__gt=0) | Q(n_live__gt=0)).select_related("user")
    return [
        Presence(
            name=a.user.get_username() if a.user else a.name, n_recent=a.n_recent, n_live=a.n_live
        )
        for a in active
    ]


def latest_version(*, project: Project) -> DatasetVersion | None:
    """The newest dataset version."""
    return project.dataset_versions.order_by("-number").first()


def failed_imports(*, project: Project) -> int:
    """How many of the last ten imports failed."""
    latest = ImportJob.objects.filter(project=project).order_by("-created_at")[:10]
    return sum(job.state == JobState.FAILED for job in latest)

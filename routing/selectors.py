"""Reads of routing for pages and API: no numpy here."""

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypedDict

from django.db.models import (
    Count,
    DecimalField,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
)
from django.db.models.functions import Coalesce

from annotate.models import Annotator, Assignment, Comparison, JobState, Preference, Project
from modeling.models import Judge
from routing.choices import PPM_POLICY, RANDOM_POLICY, UNCERTAINTY_POLICY
from routing.models import (
    AcquisitionPick,
    AcquisitionRound,
    RoutingBatch,
    RoutingDecision,
    RoutingStudy,
)

if TYPE_CHECKING:
    from django_stubs_ext import WithAnnotations

MIN_COMPARISONS = 60
MIN_PROMPTS = 20


@dataclass(frozen=True)
class Pilot:
    """How many comparisons carry both labels, and how many a study still needs."""

    n_comparisons: int
    n_prompts: int

    @property
    def missing_comparisons(self) -> int:
        """Double labels that are missing."""
        return max(0, MIN_COMPARISONS - self.n_comparisons)

    @property
    def missing_prompts(self) -> int:
        """Prompts that are missing."""
        return max(0, MIN_PROMPTS - self.n_prompts)

    @property
    def is_ready(self) -> bool:
        """Whether a study can start."""
        return not self.missing_comparisons and not self.missing_prompts

    @property
    def sentence(self) -> str:
        """What there is, and what is missing."""
        have = (
            f"{self.n_comparisons:,} comparisons on {self.n_prompts:,} prompts carry a human and "
            "a judge label"
        )
        if self.is_ready:
            return f"{have}."
        missing = [
            f"{count} more {what}"
            for count, what in (
                (self.missing_comparisons, "comparisons"),
                (self.missing_prompts, "prompts"),
            )
            if count
        ]
        return (
            f"{have}; a study needs {MIN_COMPARISONS} on {MIN_PROMPTS} prompts. Let people label "
            f"{' and '.join(missing)} that this judge has labelled."
        )


@dataclass(frozen=True)
class Pool:
    """What routing may still decide about, and at which price."""

    n_comparisons: int
    n_without_judge: int
    human_price_usd: Decimal
    judge_price_usd: Decimal
    left_usd: Decimal | None

    def extra_usd(self, n_humans: int = 1) -> Decimal:
        """Dollars that a human label costs beyond the judge's."""
        return max(self.human_price_usd * n_humans - self.judge_price_usd, Decimal(0))


class RoundCounts(TypedDict):
    """What ``rounds_of`` counts beside each round."""

    n_picks: int
    n_labelled: int


@dataclass(frozen=True)
class RoutingSummary:
    """Where routing and acquisition stand, for the project page."""

    study_number: int | None
    study_state: str
    study_progress: float
    has_signal: bool | None
    verdict: str
    n_to_humans: int
    n_to_judges: int
    left_usd: Decimal | None
    round_number: int | None
    round_state: str
    strategy: str
    n_picks: int
    share_labelled: float

    @property
    def human_share(self) -> float | None:
        """Share of the routed comparisons that went to people."""
        routed = self.n_to_humans + self.n_to_judges
        return self.n_to_humans / routed if routed else None


def _human_label() -> Exists:
    rows = Preference.objects.filter(
        comparison=OuterRef("pk"),
        annotator__kind=Annotator.Kind.HUMAN,
        supersedes__isnull=True,
        replicate=0,
    )
    return Exists(rows)


def _ranked_by(**annotator: object) -> Exists:
    # Superseded rows count too: leaving them out is an anti-join inside a semi-join, which
    # PostgreSQL runs as nested loops for minutes on tables it has no statistics of yet.
    rows = Preference.objects.filter(comparison=OuterRef("pk"), ranking__isnull=False, **annotator)
    return Exists(rows)


def _live_lease() -> Exists:
    return Exists(Assignment.objects.filter(comparison=OuterRef("pk"), state=Assignment.State.LIVE))


def pilot_of(*, project: Project, judge: Annotator) -> Pilot:
    """Count comparisons and prompts that carry both labels."""
    both = Comparison.objects.filter(project=project).filter(
        _ranked_by(annotator__kind=Annotator.Kind.HUMAN), _ranked_by(annotator=judge)
    )
    counts = both.aggregate(comparisons=Count("pk"), prompts=Count("prompt", distinct=True))
    return Pilot(counts["comparisons"], counts["prompts"])


def judges_of(*, project: Project) -> QuerySet[Annotator]:
    """The judges of a project, the one with most labels first."""
    return (
        Annotator.objects.filter(project=project, kind=Annotator.Kind.JUDGE)
        .annotate(n_labels=Count("preferences"))
        .order_by("-n_labels", "name")
    )


def judge_price(*, judge: Annotator) -> Decimal | None:
    """What one more label of a judge costs, or ``None`` for one that cannot be asked."""
    row = Judge.objects.filter(annotator=judge, provider=Judge.Provider.OPENAI).first()
    return None if row is None else row.price_per_label_usd


def routable(*, project: Project) -> QuerySet[Comparison]:
    """Comparisons that nobody has labelled and nobody holds; known answers are not work.

    Nor is a comparison whose pairs are asked one by one: those are work.
    """
    split = AcquisitionPick.objects.filter(parent=OuterRef("pk"))
    work = Comparison.objects.filter(project=project, is_gold=False)
    return work.filter(~_human_label(), ~_live_lease(), ~Exists(split))


def routable_to(*, project: Project, judge: Annotator) -> QuerySet[Comparison]:
    """Those of them that the judge has labelled or can be asked about."""
    judged: Any = Exists(judge.preferences.filter(comparison=OuterRef("pk")))
    if judge_price(judge=judge) is not None:
        # Judges are asked about two responses at a time.
        judged = judged | Q(n_responses=2)
    return routable(project=project).filter(judged)


def candidates_of(*, project: Project, by_pairs: bool = False) -> QuerySet[Comparison]:
    """Open comparisons without a human label that no earlier round has picked.

    By pairs, what earlier rounds took a pair of comes back once that is labelled, until one pair
    fewer than there are responses was asked: so many can put them in order.
    """
    picked = AcquisitionPick.objects.filter(comparison=OuterRef("pk"))
    # What the owner gave to one person by hand is not for everybody's queue.
    free = Comparison.objects.filter(project=project, is_reserved=False).filter(~_human_label())
    is_open = Q(open_slots__gt=0) & ~Exists(picked)
    if not by_pairs:
        return free.filter(is_open)
    pairs = AcquisitionPick.objects.filter(parent=OuterRef("pk"))
    labelled = Exists(Preference.objects.human().filter(comparison=OuterRef("comparison")))
    counts = pairs.order_by().values("parent").annotate(n=Count("pk")).values("n")
    goes_on = Exists(pairs) & ~Exists(pairs.filter(~labelled))
    split = free.annotate(n_pairs=Coalesce(Subquery(counts), 0))
    return split.filter((is_open & Q(n_pairs=0)) | (goes_on & Q(n_pairs__lt=F("n_responses") - 1)))


def open_elsewhere_usd(*, project: Project) -> Decimal:
    """Dollars that open slots outside the routable pool will cost when they are filled."""
    held = Comparison.objects.filter(project=project, open_slots__gt=0).filter(
        _human_label() | _live_lease()
    )
    each = Coalesce("human_price_usd", Value(project.human_price_usd))
    cost = ExpressionWrapper(F("open_slots") * each, DecimalField())
    return held.aggregate(usd=Sum(cost))["usd"] or Decimal(0)


def left_usd(*, project: Project) -> Decimal | None:
    """Dollars of the project's budget that routing may still promise; ``None`` is no limit."""
    if project.budget_usd is None:
        return None
    left = project.budget_usd - project.committed_usd - open_elsewhere_usd(project=project)
    return max(left, Decimal(0))


def pool_of(*, project: Project, judge: Annotator) -> Pool:
    """Count what routing may decide about and what it costs."""
    everything = routable(project=project).count()
    n = routable_to(project=project, judge=judge).count()
    return Pool(
        n_comparisons=n,
        n_without_judge=everything - n,
        human_price_usd=project.human_price_usd,
        judge_price_usd=judge_price(judge=judge) or Decimal(0),
        left_usd=left_usd(project=project),
    )


def latest_study(*, project: Project) -> RoutingStudy | None:
    """The newest study, whatever its state."""
    return project.routing_studies.select_related("judge").order_by("-number").first()


def latest_done_study(*, project: Project) -> RoutingStudy | None:
    """The newest study that came to a result."""
    done = project.routing_studies.filter(state=JobState.DONE).select_related("judge")
    return done.order_by("-number").first()


def default_policy(*, project: Project, study: RoutingStudy | None) -> tuple[str, str]:
    """The policy that the page proposes, and why."""
    verdict: dict[str, Any] = study.result["ppm"] if study else {"has_signal": False, "reason": ""}
    if verdict["has_signal"]:
        return PPM_POLICY, verdict["reason"]
    why = verdict["reason"] or "There is no routing study yet."
    judged = Preference.objects.current().by_judges().filter(comparison__project=project)
    several = judged.values("annotator").distinct().count() > 1
    if several or judged.filter(probability__isnull=False).exists():
        return UNCERTAINTY_POLICY, f"{why} Until then, people see first where judges are undecided."
    return RANDOM_POLICY, f"{why} Until then, people see a random part."


def batches_of(*, project: Project) -> QuerySet[RoutingBatch]:
    """Applied batches and those on their way, newest first."""
    return project.routing_batches.filter(is_dry_run=False).order_by("-number")


def latest_batch(*, project: Project) -> RoutingBatch | None:
    """The newest run of a policy, dry or applied."""
    return project.routing_batches.select_related("judge").order_by("-created_at", "-pk").first()


def active_batch(*, project: Project) -> RoutingBatch | None:
    """The newest batch that was applied and not undone: the only one that can be undone."""
    applied = project.routing_batches.filter(applied_at__isnull=False, undone_at__isnull=True)
    return applied.order_by("-number").first()


def decisions_of(*, batch: RoutingBatch) -> QuerySet[RoutingDecision]:
    """The decisions of a batch with their comparisons."""
    return batch.decisions.select_related("comparison__prompt").order_by("pk")


def decision_sample(*, batch: RoutingBatch, n_rows: int = 12) -> list[RoutingDecision]:
    """A few decisions of each kind: largest predicted gains, the audit, and what judges keep."""
    Action = RoutingDecision.Action
    rows = decisions_of(batch=batch)
    by_gain = F("predicted_gain").desc(nulls_last=True)
    chosen = rows.filter(action=Action.HUMAN, is_audit=False).order_by(by_gain, "pk")
    audit = rows.filter(is_audit=True)
    judged = rows.filter(action=Action.JUDGE)
    third = max(n_rows // 3, 1)
    return [*chosen[: n_rows - 2 * third], *audit[:third], *judged[:third]]


def rounds_of(*, project: Project) -> "QuerySet[WithAnnotations[AcquisitionRound, RoundCounts]]":
    """Acquisition rounds, newest first, each with its picks counted and labelled."""
    # One more comparison counts as labelled as soon as any human verdict on it is stored.
    labelled = Exists(Preference.objects.human().filter(comparison=OuterRef("picks__comparison")))
    return (
        project.acquisition_rounds.annotate(
            n_picks=Count("picks", distinct=True),
            n_labelled=Count("picks", filter=Q(labelled), distinct=True),
        )
        .select_related("reward_model")
        .order_by("-number")
    )


def picks_of(*, acquisition_round: AcquisitionRound) -> QuerySet[AcquisitionPick]:
    """The picks of a round in the order of the queue."""
    labelled = Exists(Preference.objects.human().filter(comparison=OuterRef("comparison")))
    return (
        acquisition_round.picks.select_related("comparison__prompt", "parent")
        .annotate(is_labelled=labelled)
        .order_by("rank")
    )


def routing_summary(*, project: Project) -> RoutingSummary:
    """Where routing and acquisition stand, in a handful of cheap queries."""
    study = latest_study(project=project)
    verdict: dict[str, Any] = (study.result if study else {}).get("ppm", {})
    batch = active_batch(project=project)
    counts = batch.summary if batch else {}
    last = rounds_of(project=project).filter(state=JobState.DONE).first()
    n_picks = last.n_picks if last else 0
    return RoutingSummary(
        study_number=study.number if study else None,
        study_state=study.state if study else "",
        study_progress=study.progress if study else 0.0,
        has_signal=verdict.get("has_signal"),
        verdict=verdict.get("reason", study.message if study else ""),
        n_to_humans=counts.get("n_human", 0),
        n_to_judges=counts.get("n_judge", 0),
        left_usd=left_usd(project=project),
        round_number=last.number if last else None,
        round_state=last.state if last else "",
        strategy=last.report.get("strategy", last.strategy) if last else "",
        n_picks=n_picks,
        share_labelled=last.n_labelled / n_picks if last and n_picks else 0.0,
    )

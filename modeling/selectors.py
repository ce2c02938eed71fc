"""What pages and the API read about judges, runs and reward models.

Jobs computed and stored all figures, so the web process needs no numeric library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.db.models import Count, Q, QuerySet, Sum

from annotate.errors import NotReady
from annotate.models import Annotator, Preference, Project
from modeling.models import Judge, JudgeReply, JudgeRun, Promotion, RewardModel, TrainingRun


@dataclass(frozen=True)
class Figure:
    """An estimate with its 95 % interval and what it stands on."""

    estimate: float
    low: float
    high: float
    n: int
    n_prompts: int

    @classmethod
    def read(cls, stored: Mapping[str, Any] | None) -> Figure | None:
        """Read a stored interval; one without an estimate is none."""
        if not stored or stored.get("estimate") is None:
            return None
        return cls(**{name: stored[name] for name in ("estimate", "low", "high", "n", "n_prompts")})


@dataclass(frozen=True)
class JudgeFigures:
    """One judge against the human majority, as last measured."""

    judge: Judge
    name: str
    n_labels: int
    n_measured: int
    accuracy: Figure | None
    kappa: Figure | None
    accuracy_without_ties: Figure | None
    first_position: Figure | None
    conflict: Figure | None
    cost_usd: Decimal
    is_simulated: bool

    @property
    def is_stale(self) -> bool:
        """Whether labels came since the figures were taken."""
        return self.n_labels != self.n_measured


@dataclass(frozen=True)
class ModelingSummary:
    """Judges and training of a project on one line each."""

    n_judges: int
    n_judge_labels: int
    best_judge: str
    best_judge_accuracy: Figure | None
    judge_cost_usd: Decimal
    latest_run: TrainingRun | None
    model_number: int | None
    model_accuracy: Figure | None
    model_ece: Figure | None


def latest_reward_model(project: Project) -> RewardModel | None:
    """The project's newest reward model with ensemble heads, which know what is uncertain."""
    heads = RewardModel.objects.filter(project=project, kind=RewardModel.Kind.HEADS)
    return heads.order_by("-number").first()


def newest_model(project: Project) -> RewardModel | None:
    """The project's newest reward model of any kind."""
    return reward_models(project).first()


def judging_model(project: Project) -> RewardModel:
    """The reward model that judges where none is named: the current one, else the newest.

    Raises
    ------
    NotReady
        If none has been trained.
    """
    model = promoted_model(project) or newest_model(project)
    if model is None:
        raise NotReady("There is no reward model yet: train one, then let it judge.")
    return model


def promotion_stack(project: Project) -> list[RewardModel]:
    """The promoted models that no rollback took back, the current one last."""
    stack: list[RewardModel] = []
    for step in (
        Promotion.objects.filter(project=project).order_by("pk").select_related("reward_model")
    ):
        if step.kind == Promotion.Kind.ROLLBACK:
            stack.pop()
        elif step.reward_model is not None:
            stack.append(step.reward_model)
    return stack


def promoted_model(project: Project) -> RewardModel | None:
    """The project's current reward model: the last that passed the gates and still stands."""
    stack = promotion_stack(project)
    return stack[-1] if stack else None


def reward_models(project: Project) -> QuerySet[RewardModel]:
    """The project's reward models, newest first, with their runs and data versions."""
    models = RewardModel.objects.filter(project=project).order_by("-number")
    return models.select_related("training_run__dataset_version", "training_run__created_by")


def training_runs(project: Project) -> QuerySet[TrainingRun]:
    """The project's training runs, newest first."""
    runs = TrainingRun.objects.filter(project=project).order_by("-created_at", "-pk")
    return runs.select_related("dataset_version", "reward_model", "feature_run", "repeats")


def judge_runs(project: Project) -> QuerySet[JudgeRun]:
    """The project's judge runs, newest first."""
    runs = JudgeRun.objects.filter(judge__annotator__project=project)
    return runs.select_related("judge__annotator").order_by("-created_at", "-pk")


def judges(project: Project) -> QuerySet[Judge]:
    """The project's judges by name."""
    found = Judge.objects.filter(annotator__project=project, annotator__is_active=True)
    return found.select_related("annotator").order_by("annotator__name")


def judge_accuracy(project: Project) -> list[JudgeFigures]:
    """Every judge with its figures, the most accurate first, unmeasured ones last."""
    counted = judges(project).annotate(
        n_labels=Count("annotator__preferences", filter=Q(annotator__preferences__replicate=0))
    )
    costs = _judge_costs(project)
    figures = [_figures(judge, costs.get(judge.pk, Decimal(0))) for judge in counted]
    return sorted(figures, key=lambda row: -row.accuracy.estimate if row.accuracy else 1.0)


def judge_price_usd(annotator: Annotator) -> Decimal:
    """What one label of a judge costs: as its runs measured it, or as its owner stated it."""
    judge = Judge.objects.filter(annotator=annotator).first()
    if judge is None:
        return Decimal(Judge(annotator=annotator).price_per_label_usd)
    spent = JudgeReply.objects.filter(judge=judge).aggregate(total=Sum("cost_usd"))["total"]
    labels = Preference.objects.filter(annotator=annotator, source=Preference.Source.JUDGE).count()
    return spent / labels if spent and labels else Decimal(judge.price_per_label_usd)


def modeling_summary(*, project: Project) -> ModelingSummary:
    """Judges, the latest training run and the latest model, for the project's page."""
    figures = judge_accuracy(project)
    best = figures[0] if figures and figures[0].accuracy else None
    model = newest_model(project)
    metrics = model.metrics if model else {}
    by_judges = Annotator.objects.filter(project=project, kind=Annotator.Kind.JUDGE)
    return ModelingSummary(
        n_judges=by_judges.count(),
        n_judge_labels=Preference.objects.filter(
            annotator__in=by_judges, supersedes__isnull=True
        ).count(),
        best_judge=best.name if best else "",
        best_judge_accuracy=best.accuracy if best else None,
        judge_cost_usd=sum(_judge_costs(project).values(), Decimal(0)),
        latest_run=training_runs(project).first(),
        model_number=model.number if model else None,
        model_accuracy=Figure.read(metrics.get("accuracy")),
        model_ece=Figure.read(metrics.get("ece")),
    )


def _judge_costs(project: Project) -> dict[int, Decimal]:
    rows = JudgeReply.objects.filter(judge__annotator__project=project).order_by()
    sums = rows.values_list("judge_id").annotate(total=Sum("cost_usd"))
    return dict(sums)


def _figures(judge: Judge, cost_usd: Decimal) -> JudgeFigures:
    measured = judge.measured
    return JudgeFigures(
        judge=judge,
        name=judge.annotator.name,
        n_labels=judge.n_labels,  # type: ignore[attr-defined]
        n_measured=measured.get("n_labels", 0),
        accuracy=Figure.read(measured.get("accuracy")),
        kappa=Figure.read(measured.get("kappa")),
        accuracy_without_ties=Figure.read(measured.get("accuracy_without_ties")),
        first_position=Figure.read(measured.get("first_position")),
        conflict=Figure.read(measured.get("conflict")),
        cost_usd=cost_usd,
        is_simulated=judge.annotator.is_simulated,
    )


@dataclass(frozen=True)
class ModelFigures:
    """A reward model on held-out human labels."""

    accuracy: Figure | None
    log_loss: Figure | None
    ece: Figure | None
    length_accuracy: Figure | None
    above_length: Figure | None
    brier: Figure | None


def model_figures(model: RewardModel) -> ModelFigures:
    """Read the figures that training stored with a model."""
    metrics = model.metrics
    length = metrics.get("baselines", {}).get("length", {})
    return ModelFigures(
        accuracy=Figure.read(metrics.get("accuracy")),
        log_loss=Figure.read(metrics.get("log_loss")),
        ece=Figure.read(metrics.get("ece")),
        length_accuracy=Figure.read(length.get("accuracy")),
        above_length=Figure.read(metrics.get("above_length")),
        brier=Figure.read(metrics.get("brier")),
    )

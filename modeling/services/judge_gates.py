"""The owner's gate: what a judge must show before it gets routed work, and whether it does."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.db import transaction

from annotate.errors import ApplicationError, NotReady
from annotate.models import Annotator, Project
from annotate.services.audit import audit_write
from modeling.models import Judge, JudgeAlarm, JudgeGate
from modeling.services.judges import judges_measure

FIELDS = (
    "min_n",
    "min_accuracy",
    "min_kappa",
    "max_first_position_bias",
    "max_conflict",
    "max_ece",
    "max_parse_failures",
    "blocks_on_alarm",
)
Figures = Mapping[str, Any]


@dataclass(frozen=True)
class Qualification:
    """Whether a judge may get routed work, and every reason why not."""

    reasons: tuple[str, ...]

    @property
    def is_qualified(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.reasons

    @property
    def reason(self) -> str:
        """All reasons as one text; empty for a qualified judge."""
        return " ".join(self.reasons)


def gate_of(project: Project) -> JudgeGate:
    """Return the project's gate, or the one that stands until its owner changes it."""
    return JudgeGate.objects.filter(project=project).first() or JudgeGate(project=project)


@transaction.atomic
def gate_change(*, project: Project, user: User | None, **values: Any) -> JudgeGate:
    """Change what judges must show.

    Raises
    ------
    ApplicationError
        If a bound does not exist or lies outside its range.
    """
    unknown = sorted(set(values) - set(FIELDS))
    if unknown:
        raise ApplicationError(
            f"The gate has no bound {unknown[0]!r}; use {', '.join(FIELDS)}.", field=unknown[0]
        )
    gate = gate_of(project)
    for name, value in values.items():
        setattr(gate, name, value)
    try:
        gate.full_clean(validate_unique=False, exclude=["project"])
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise ApplicationError(messages[0], field=field) from None
    gate.save()
    audit_write(project=project, actor=user, action="judge_gate.change", target="", data=values)
    return gate


def judge_qualification(judge: Judge) -> Qualification:
    """Hold a judge's last measured figures and its open alarms against the gate."""
    gate = gate_of(judge.annotator.project)
    return qualification(judge.measured, gate, open_alarms_of(judge))


def qualification(
    figures: Figures, gate: JudgeGate, open_alarms: Iterable[JudgeAlarm]
) -> Qualification:
    """Hold figures and open alarms against a gate."""
    reasons = list(gate_reasons(figures, gate))
    if gate.blocks_on_alarm:
        reasons += [f"Open alarm: {alarm.message}" for alarm in open_alarms]
    return Qualification(tuple(reasons))


def open_alarms_of(judge: Judge) -> Iterable[JudgeAlarm]:
    """The judge's alarms that its owner has not closed."""
    return JudgeAlarm.objects.filter(judge=judge, resolved_at__isnull=True)


def judge_gate_require(*, annotator: Annotator) -> None:
    """Refuse to route work to a judge that is below the gate.

    Raises
    ------
    NotReady
        With every reason, and the two ways on.
    """
    judge = Judge.objects.select_related("annotator__project").filter(annotator=annotator).first()
    if judge is None or not judge.measured:
        # Nothing is queued here: the caller's transaction ends with this refusal.
        raise NotReady(
            f"{annotator} has not been measured against people yet. Open the Judges page, which "
            "measures it, and try again in a minute.",
            field="judge",
        )
    verdict = judge_qualification(judge)
    if not verdict.is_qualified:
        raise NotReady(
            f"{annotator} gets no routed work: {verdict.reason} Choose another judge, or change "
            "the gate on the Judges page.",
            field="judge",
        )


def judge_measured_ensure(*, annotator: Annotator) -> None:
    """Measure the project's judges now if this one never was; for workers only."""
    if not Judge.objects.filter(annotator=annotator).exclude(measured={}).exists():
        judges_measure(project=annotator.project)


def gate_reasons(figures: Figures, gate: JudgeGate) -> Iterator[str]:
    """Yield a sentence for every bound that the figures do not meet."""
    n, ranked = int(figures.get("n_compared") or 0), figures.get("rankings") or {}
    n_ranked = int(ranked.get("n_compared") or 0)
    needed = max(gate.min_n, 1)
    if max(n, n_ranked) < needed:
        yield (
            f"{n + n_ranked:,} of its verdicts stand beside a human majority, and the gate asks "
            f"for {needed:,}. Let people label {needed - max(n, n_ranked):,} more that it has "
            "judged."
        )
        return
    if n >= needed:
        yield from _below_floors(figures, gate)
        yield from _above_ceilings(figures, gate)
    if n_ranked >= needed:
        for reason in (*_below_floors(ranked, gate), *_above_ceilings(ranked, gate)):
            yield f"Rankings: {reason[:1].lower()}{reason[1:]}"


def _below_floors(figures: Figures, gate: JudgeGate) -> Iterator[str]:
    accuracy, kappa = figures.get("accuracy"), figures.get("kappa")
    if gate.min_accuracy is not None and not _reaches(accuracy, gate.min_accuracy):
        yield (f"Accuracy {_words(accuracy)}: the lower end must reach {gate.min_accuracy:.2f}.")
    if gate.min_kappa is not None and not _passes(kappa, gate.min_kappa):
        chance = ", so it is not shown to be better than chance" if gate.min_kappa == 0 else ""
        yield f"Kappa {_words(kappa)}: the lower end must be above {gate.min_kappa:.2f}{chance}."


def _above_ceilings(figures: Figures, gate: JudgeGate) -> Iterator[str]:
    bias = gate.max_first_position_bias
    first = figures.get("first_position")
    if bias is not None and first and _known(first) and _distance_from_half(first) > bias:
        yield (
            f"It picks the response shown first in {_words(first)}: more than {bias:.2f} from one "
            "half."
        )
    for name, title, ceiling in (
        ("conflict", "Its two orders disagree in", gate.max_conflict),
        ("ece", "Calibration error", gate.max_ece),
        ("parse_failures", "Unparsable replies", gate.max_parse_failures),
    ):
        figure = figures.get(name)
        if ceiling is not None and figure and _known(figure) and figure["low"] > ceiling:
            yield f"{title} {_words(figure)}: more than {ceiling:.2f}."


def _known(figure: Any) -> bool:
    return bool(figure) and figure.get("estimate") is not None


def _reaches(figure: Any, floor: float) -> bool:
    return _known(figure) and figure["low"] >= floor


def _passes(figure: Any, floor: float) -> bool:
    return _known(figure) and figure["low"] > floor


def _distance_from_half(figure: Figures) -> float:
    """How far the interval's nearer end lies from one half; 0 where the interval holds it."""
    low, high = float(figure["low"]), float(figure["high"])
    return max(low - 0.5, 0.5 - high, 0.0)


def _words(figure: Any) -> str:
    if not _known(figure):
        return "is unknown"
    return (
        f"{figure['estimate']:.3f} [{figure['low']:.3f}, {figure['high']:.3f}], n = {figure['n']:,}"
    )

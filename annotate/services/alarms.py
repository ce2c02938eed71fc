"""Looks at everybody's latest labels and tells the owner whom to look at."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from annotate.models import Annotator, Preference, Project, QualityAlarm
from annotate.quality_signals import PairSignal, Signal, SpeedSignal
from annotate.selectors.quality import display_name
from annotate.selectors.signals import Signals, project_signals

Kind = QualityAlarm.Kind


@dataclass(frozen=True)
class Finding:
    """An alarm to raise."""

    annotator_id: int
    kind: str
    message: str
    data: dict[str, float | int | str]


@transaction.atomic
def alarms_check(*, project: Project) -> int:
    """Raise an alarm for every finding that is not told yet; return how many are new."""
    people = {a.pk: a for a in Annotator.objects.filter(project=project).select_related("user")}
    n_new = 0
    for finding in findings(project_signals(project=project, fresh_only=True), people):
        _, is_new = QualityAlarm.objects.get_or_create(
            annotator_id=finding.annotator_id,
            kind=finding.kind,
            resolved_at=None,
            defaults={"message": finding.message[:300], "data": finding.data},
        )
        n_new += is_new
    return n_new


def findings(signals: Signals, people: Mapping[int, Annotator]) -> list[Finding]:
    """The alarms that signals call for, in words for the owner."""
    return [
        *_of(signals.gold, Kind.GOLD, _gold_words),
        *_of(signals.repeats, Kind.SELF, _repeat_words),
        *_of(signals.agreement, Kind.AGREEMENT, _agreement_words),
        *_of(signals.position, Kind.STRAIGHT_LINE, _position_words),
        *_run_findings(signals),
        *_speed_findings(signals.speed),
        *_collusion_findings(signals.collusion, people),
    ]


def _of(
    signals: Mapping[int, Signal], kind: str, words: Callable[[Signal], str]
) -> Iterable[Finding]:
    for who, signal in signals.items():
        if signal.is_alarm:
            yield Finding(who, kind, words(signal), _data(signal))


def _data(signal: Signal) -> dict[str, float | int | str]:
    share = signal.share
    return {
        "share": round(share.value or 0.0, 4), "low": round(share.low, 4),
        "high": round(share.high, 4), "n": share.n, "allowed": round(signal.allowed, 4),
        "odds": round(min(signal.odds, 1e12), 1),
    }  # fmt: skip


def _percent(signal: Signal) -> str:
    share = signal.share
    return f"{share.value or 0:.0%} [{share.low:.0%}, {share.high:.0%}], n = {share.n}"


def _gold_words(signal: Signal) -> str:
    return f"Finds known answers in {_percent(signal)}; at least {signal.allowed:.0%} is usual."


def _repeat_words(signal: Signal) -> str:
    return f"Says the same again in {_percent(signal)} of repeated comparisons."


def _agreement_words(signal: Signal) -> str:
    told = f"Agrees with most others in {_percent(signal)}"
    return f"{told}; from {signal.allowed:.0%} on would be no cause for alarm."


def _position_words(signal: Signal) -> str:
    return f"Prefers what is shown first in {_percent(signal)}; the order is random."


def _run_findings(signals: Signals) -> Iterable[Finding]:
    for who, run in signals.run.items():
        if run.is_alarm and not signals.position[who].is_alarm:
            message = f"The same click {run.length} times in a row among {run.n} labels."
            data: dict[str, float | int | str] = {"run": run.length, "n": run.n, "p": run.p_bound}
            yield Finding(who, Kind.STRAIGHT_LINE, message, data)


def _speed_findings(signals: Mapping[int, SpeedSignal]) -> Iterable[Finding]:
    for who, speed in signals.items():
        if speed.is_alarm and speed.z is not None:
            message = (
                f"Reads {1 / speed.median_s:,.0f} tokens a second at the median (n = {speed.n}), "
                f"{-speed.z:.1f} robust standard deviations faster than the others."
            )
            data: dict[str, float | int | str] = {"z": round(speed.z, 2), "n": speed.n}
            yield Finding(who, Kind.SPEED, message, data)


def _collusion_findings(
    pairs: Sequence[PairSignal], people: Mapping[int, Annotator]
) -> Iterable[Finding]:
    for pair in pairs:
        if not pair.signal.is_alarm:
            continue
        for who, other in ((pair.first, pair.second), (pair.second, pair.first)):
            message = (
                f"Answers like {display_name(people[other])} in {_percent(pair.signal)}; their "
                f"agreement with others explains {pair.signal.allowed:.0%} at most."
            )
            yield Finding(who, Kind.COLLUSION, message, {**_data(pair.signal), "with": other})


def quality_watch(*, minutes: int = 5) -> int:
    """Check the projects in which people labelled lately; return the number of new alarms."""
    since = timezone.now() - timedelta(minutes=minutes)
    lately = Preference.objects.filter(
        annotator=OuterRef("pk"), created_at__gte=since, source=Preference.Source.APP
    )
    active = Annotator.objects.filter(Exists(lately), kind=Annotator.Kind.HUMAN)
    projects = Project.objects.filter(pk__in=active.values("project"))
    return sum(alarms_check(project=project) for project in projects)

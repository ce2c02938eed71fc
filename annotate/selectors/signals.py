"""Every statistic of a project's people, worked out from their latest labels."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from annotate.models import Project, QualityAlarm
from annotate.quality_signals import (
    Answer,
    PairSignal,
    RunSignal,
    Signal,
    SpeedSignal,
    agreement_signals,
    collusion_signals,
    gold_signals,
    position_signal,
    repeat_signal,
    run_signal,
    speed_signals,
)
from annotate.selectors.quality import (
    DatedAnswer,
    dated_answers,
    gold_answers,
    repeat_agreements,
    resolved_times,
)

Kind = QualityAlarm.Kind
Resolved = Mapping[tuple[int, str], datetime]


@dataclass(frozen=True)
class Signals:
    """Every signal of a project's people, by annotator."""

    gold: dict[int, Signal]
    speed: dict[int, SpeedSignal]
    position: dict[int, Signal]
    run: dict[int, RunSignal]
    repeats: dict[int, Signal]
    agreement: dict[int, Signal]
    collusion: list[PairSignal]


def project_signals(*, project: Project, fresh_only: bool = False) -> Signals:
    """Work out every signal of a project's people.

    Parameters
    ----------
    project
        The project.
    fresh_only
        Leave out, signal by signal, the labels that an alarm was closed on: what the owner has
        looked at raises no second alarm.
    """
    resolved = resolved_times(project=project) if fresh_only else {}
    dated = dated_answers(project=project)
    golds = gold_answers(project=project)
    found_golds = {
        who: [ok for ok, at in own if _is_fresh(who, Kind.GOLD, at, resolved)]
        for who, own in golds.items()
    }
    steady = _grouped(_fresh(dated, Kind.STRAIGHT_LINE, resolved))
    return Signals(
        gold=gold_signals(found_golds),
        speed=speed_signals(_seconds(_fresh(dated, Kind.SPEED, resolved))),
        position={who: position_signal(_sides(own)) for who, own in steady.items()},
        run=_runs(steady),
        repeats={w: repeat_signal(own) for w, own in repeat_agreements(project=project).items()},
        agreement=agreement_signals(_fresh(dated, Kind.AGREEMENT, resolved)),
        collusion=collusion_signals(_fresh(dated, Kind.COLLUSION, resolved)),
    )


def _is_fresh(who: int, kind: str, at: datetime, resolved: Resolved) -> bool:
    closed = resolved.get((who, kind))
    return closed is None or at > closed


def _fresh(dated: Sequence[DatedAnswer], kind: str, resolved: Resolved) -> list[Answer]:
    return [d.answer for d in dated if _is_fresh(d.answer.annotator, kind, d.created_at, resolved)]


def _grouped(answers: Iterable[Answer]) -> dict[int, list[Answer]]:
    found: defaultdict[int, list[Answer]] = defaultdict(list)
    for answer in answers:
        found[answer.annotator].append(answer)
    return dict(found)


def _seconds(answers: Sequence[Answer]) -> dict[int, list[float]]:
    return {
        who: [a.seconds_per_token for a in own if a.seconds_per_token is not None]
        for who, own in _grouped(answers).items()
    }


def _sides(own: Sequence[Answer]) -> list[float]:
    return [a.shown_first for a in own if a.shown_first is not None]


def _runs(grouped: Mapping[int, Sequence[Answer]]) -> dict[int, RunSignal]:
    clicks = Counter(a.shown_answer for own in grouped.values() for a in own)
    shares = {click: n / clicks.total() for click, n in clicks.items()}
    return {who: run_signal([a.shown_answer for a in own], shares) for who, own in grouped.items()}

"""The rows of the quality page: one per person, and who agrees with whom."""

from collections import defaultdict
from dataclasses import dataclass
from string import ascii_uppercase

from annotate.models import Annotator, Preference, Project, QualityAlarm
from annotate.quality_signals import Share, SpeedSignal, agreement_matrix, wilson
from annotate.selectors.labelling import better_by
from annotate.selectors.quality import (
    alarms_open,
    dated_answers,
    display_name,
    humans,
)
from annotate.selectors.signals import Signals, project_signals

MATRIX_HUMANS = 10
MATRIX_JUDGES = 4
NOTHING = wilson(0, 0)


@dataclass(frozen=True)
class PersonRow:
    """Everything that the owner sees of one person's work."""

    annotator: Annotator
    name: str
    n_labels: int
    agreement: Share
    gold: Share
    speed: SpeedSignal | None
    left: Share
    repeats: Share
    alarms: list[QualityAlarm]


@dataclass(frozen=True)
class Matrix:
    """Agreement of annotators two by two; a cell is ``None`` where they share nothing."""

    names: list[str]
    kinds: list[str]
    cells: list[list[Share | None]]


def people(*, project: Project) -> list[PersonRow]:
    """One row per person who labels or may label, most labels first."""
    signals = project_signals(project=project)
    alarms: defaultdict[int, list[QualityAlarm]] = defaultdict(list)
    for alarm in alarms_open(project=project):
        alarms[alarm.annotator_id].append(alarm)
    return [_row(person, signals, alarms[person.pk]) for person in humans(project=project)]


def _row(person: Annotator, signals: Signals, alarms: list[QualityAlarm]) -> PersonRow:
    def share(found: dict[int, Share]) -> Share:
        return found.get(person.pk, NOTHING)

    return PersonRow(
        annotator=person,
        name=display_name(person),
        n_labels=getattr(person, "n_labels", 0),
        agreement=share({who: signal.share for who, signal in signals.agreement.items()}),
        gold=share({who: signal.share for who, signal in signals.gold.items()}),
        speed=signals.speed.get(person.pk),
        left=share({who: signal.share for who, signal in signals.position.items()}),
        repeats=share({who: signal.share for who, signal in signals.repeats.items()}),
        alarms=alarms,
    )


def agreements(*, project: Project) -> Matrix:
    """Agreement of the busiest people and judges, two by two, on what both labelled."""
    human = [d.answer for d in dated_answers(project=project)]
    judge = [d.answer for d in dated_answers(project=project, kind=Annotator.Kind.JUDGE)]
    chosen = _busiest([a.annotator for a in human], MATRIX_HUMANS)
    chosen += _busiest([a.annotator for a in judge], MATRIX_JUDGES)
    rows = agreement_matrix([a for a in [*human, *judge] if a.annotator in chosen])
    by_pk = Annotator.objects.select_related("user").in_bulk(chosen)
    people_and_judges = [by_pk[pk] for pk in chosen]

    def cell(first: int, second: int) -> Share | None:
        alike = rows.get((min(first, second), max(first, second)))
        return wilson(sum(alike), len(alike)) if alike else None

    return Matrix(
        names=[display_name(annotator) for annotator in people_and_judges],
        kinds=[annotator.kind for annotator in people_and_judges],
        cells=[[cell(a, b) if a != b else None for b in chosen] for a in chosen],
    )


def _busiest(annotators: list[int], most: int) -> list[int]:
    counts: defaultdict[int, int] = defaultdict(int)
    for pk in annotators:
        counts[pk] += 1
    return sorted(counts, key=lambda pk: (-counts[pk], pk))[:most]


@dataclass(frozen=True)
class BlindVote:
    """A vote as a reviewer sees it: no name, in the order in which they see the responses."""

    number: int
    verdict: str
    rationale: str


def blind_votes(*, votes: list[Preference], order: list[int]) -> list[BlindVote]:
    """The votes under review without any trace of who gave them, in no order of time."""
    told = sorted((_in_words(vote, order), vote.rationale) for vote in votes)
    return [BlindVote(n, verdict, why) for n, (verdict, why) in enumerate(told, start=1)]


def _in_words(vote: Preference, order: list[int]) -> str:
    if vote.ranking is None or vote.verdict == Preference.Verdict.TIE:
        return str(Preference.Verdict(vote.verdict).label)
    ranks = [vote.ranking[index] for index in order]
    if len(ranks) == 2 and vote.strength:
        side = "A" if ranks[0] < ranks[1] else "B"
        return better_by(side, abs(vote.strength), vote.protocol.max_strength)
    levels = [
        " = ".join(ascii_uppercase[place] for place, rank in enumerate(ranks) if rank == level)
        for level in sorted(set(ranks))
    ]
    return " > ".join(levels)

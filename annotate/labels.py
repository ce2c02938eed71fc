"""How verdicts become labels: named rules, versioned, in plain Python.

Every pair of responses of a comparison gets the outcome that most annotators chose: first better,
second better, tie, or both bad. Each annotator has one vote, whatever number of replicates they
gave. Two outcomes with equally many votes are *no consensus*, never list order. "Cannot judge" is
an abstention. Where a reviewer has decided, that verdict alone counts, except under the rule that
reads judges only. A frozen rule is never edited; a better one gets a new name.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations

from annotate.formats.base import ComparisonRecord, PreferenceRecord

FIRST, SECOND, TIE, BOTH_BAD = "first", "second", "tie", "both_bad"
NO_CONSENSUS, UNLABELLED = "no_consensus", "unlabelled"
HUMAN_MAJORITY = "human_majority-v1"
HUMAN_THEN_JUDGE = "human_then_judge-v1"
JUDGE_MAJORITY = "judge_majority-v1"
ALL_MAJORITY = "all_majority-v1"

Verdicts = list[PreferenceRecord]


@dataclass(frozen=True, slots=True)
class PairLabel:
    """The label of two responses (places in canonical order) and the votes behind it."""

    first: int
    second: int
    outcome: str
    source: str
    n_first: int = 0
    n_second: int = 0
    n_votes: int = 0

    @property
    def is_preference(self) -> bool:
        """Whether one of the two responses is chosen."""
        return self.outcome in (FIRST, SECOND)

    @property
    def chosen(self) -> int:
        """The place of the chosen response."""
        return self.first if self.outcome == FIRST else self.second

    @property
    def rejected(self) -> int:
        """The place of the rejected response."""
        return self.second if self.outcome == FIRST else self.first

    @property
    def margin(self) -> float:
        """Votes for the chosen less votes for the rejected response, as a share of all votes."""
        return abs(self.n_first - self.n_second) / self.n_votes if self.n_votes else 0.0


def standing(verdicts: Iterable[PreferenceRecord]) -> Verdicts:
    """Keep the last revision of every verdict."""
    last: dict[tuple[str, str, int], PreferenceRecord] = {}
    for verdict in sorted(verdicts, key=lambda v: v.revision):
        last[verdict.key[:3]] = verdict
    return list(last.values())


def _overriding(verdicts: Verdicts) -> Verdicts:
    """The last reviewer's verdict, which stands above every vote, if there is one."""
    overrides = [v for v in verdicts if v.is_override]
    return overrides[-1:]


def _humans(verdicts: Verdicts) -> tuple[Verdicts, str]:
    return [v for v in verdicts if v.kind == "human"], "human"


def _judges(verdicts: Verdicts) -> tuple[Verdicts, str]:
    return [v for v in verdicts if v.kind == "judge"], "judge"


def _humans_else_judges(verdicts: Verdicts) -> tuple[Verdicts, str]:
    humans = [v for v in verdicts if v.kind == "human" and v.verdict != "cannot_judge"]
    return (humans, "human") if humans else _judges(verdicts)


def _everybody(verdicts: Verdicts) -> tuple[Verdicts, str]:
    return verdicts, "all"


RULES: dict[str, Callable[[Verdicts], tuple[Verdicts, str]]] = {
    HUMAN_MAJORITY: _humans,
    HUMAN_THEN_JUDGE: _humans_else_judges,
    JUDGE_MAJORITY: _judges,
    ALL_MAJORITY: _everybody,
}


def pair_labels(record: ComparisonRecord, rule: str) -> Iterator[PairLabel]:
    """Yield the label of every pair of a comparison's responses under a rule.

    Raises
    ------
    ValueError
        If there is no such rule.
    """
    if rule not in RULES:
        raise ValueError(f"Unknown label rule {rule!r}; use one of {', '.join(RULES)}.")
    standing_now = standing(record.preferences)
    verdicts, source = RULES[rule](standing_now)
    overriding = _overriding(standing_now)
    if overriding and rule != JUDGE_MAJORITY:
        verdicts, source = overriding, "reviewer"
    for first, second in combinations(range(len(record.responses)), 2):
        yield _pair_label(verdicts, source, first, second)


def _pair_label(verdicts: Verdicts, source: str, first: int, second: int) -> PairLabel:
    votes = Counter(_votes(verdicts, first, second))
    return PairLabel(
        first=first,
        second=second,
        outcome=plurality(votes) or (NO_CONSENSUS if votes else UNLABELLED),
        source=source,
        n_first=votes[FIRST],
        n_second=votes[SECOND],
        n_votes=votes.total(),
    )


def _votes(verdicts: Verdicts, first: int, second: int) -> Iterator[str]:
    """Yield one outcome per annotator; one who contradicts themselves evenly abstains."""
    by_annotator: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for verdict in verdicts:
        outcome = outcome_of(verdict, first, second)
        if outcome is not None:
            by_annotator[verdict.kind, verdict.annotator][outcome] += 1
    for outcomes in by_annotator.values():
        vote = plurality(outcomes)
        if vote is not None:
            yield vote


def outcome_of(verdict: PreferenceRecord, first: int, second: int) -> str | None:
    """What a verdict says about two responses; ``None`` is an abstention."""
    if verdict.ranking is None:
        return BOTH_BAD if verdict.verdict == BOTH_BAD else None
    ahead, behind = verdict.ranking[first], verdict.ranking[second]
    if ahead == behind:
        return TIE
    return FIRST if ahead < behind else SECOND


def plurality(votes: Counter[str]) -> str | None:
    """The outcome with most votes, or ``None`` where there is none or more than one."""
    top = votes.most_common(2)
    if not top or (len(top) == 2 and top[0][1] == top[1][1]):
        return None
    return top[0][0]

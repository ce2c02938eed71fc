"""How verdicts become labels: named rules, versioned, in plain Python.

Every pair of responses of a comparison gets the outcome that most annotators chose: first better,
second better, tie, or both bad. Each annotator has one vote, whatever number of replicates they
gave. Two outcomes with equally many votes are *no consensus*, never list order. "Cannot judge" is
an abstention. Where a reviewer has decided, that verdict alone counts, except under the rule that
reads judges only. A frozen rule is never edited; a better one gets a new name.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

from annotate.formats.base import ComparisonRecord, PreferenceRecord

FIRST, SECOND, TIE, BOTH_BAD = "first", "second", "tie", "both_bad"
NO_CONSENSUS, UNLABELLED = "no_consensus", "unlabelled"
HUMAN_MAJORITY = "human_majority-v1"
HUMAN_THEN_JUDGE = "human_then_judge-v1"
JUDGE_MAJORITY = "judge_majority-v1"
ALL_MAJORITY = "all_majority-v1"
TIERED = "tiered-v1"
LATEST = "latest-v1"
SOFT = "soft-v1"
DAWID_SKENE = "dawid_skene-v1"
# A comparison's votes come in few patterns; labels are the same wherever a pattern is.
PATTERNS_KEPT = 8_192

Verdicts = list[PreferenceRecord]


class Vote(NamedTuple):
    """What a rule reads of a verdict; ``who`` numbers the comparison's annotators."""

    who: int
    kind: str
    verdict: str
    ranking: tuple[int, ...] | None
    is_override: bool
    probability: float | None


Votes = tuple[Vote, ...]


@dataclass(frozen=True, slots=True)
class PairLabel:
    """The label of two responses (places in canonical order) and the votes behind it.

    ``source`` is the tier that decided: "reviewer", "human", "judge" or "all". ``share_first`` is
    the probability that the first is better: votes with ties halved and judges by their own
    probability, or a fitted posterior; ``None`` without a vote on the direction.
    """

    first: int
    second: int
    outcome: str
    source: str
    n_first: int = 0
    n_second: int = 0
    n_votes: int = 0
    share_first: float | None = None

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

    @property
    def weight(self) -> float:
        """The share of all votes that the label has behind it."""
        behind = self.n_first if self.outcome == FIRST else self.n_second
        return behind / self.n_votes if self.n_votes else 0.0

    @property
    def soft_label(self) -> float | None:
        """The probability that the chosen response is better."""
        if self.share_first is None:
            return None
        return self.share_first if self.outcome == FIRST else 1.0 - self.share_first


def standing(verdicts: Iterable[PreferenceRecord]) -> Verdicts:
    """Keep the last revision of every verdict."""
    given = list(verdicts)
    if len(given) == 1 or not any(verdict.revision for verdict in given):
        return given
    last: dict[tuple[str, str, int], PreferenceRecord] = {}
    for verdict in sorted(given, key=lambda v: v.revision):
        last[verdict.key[:3]] = verdict
    return list(last.values())


def votes_of(record: ComparisonRecord) -> Votes:
    """The standing verdicts of a comparison as votes, in the order in which they were given."""
    people: dict[tuple[str, str], int] = {}
    return tuple([
        Vote(
            people.setdefault((v.kind, v.annotator), len(people)),
            v.kind, v.verdict, v.ranking, v.is_override, v.probability,
        )
        for v in standing(record.preferences)
    ])  # fmt: skip


def _humans(votes: Votes) -> tuple[Votes, str]:
    return tuple(v for v in votes if v.kind == "human"), "human"


def _judges(votes: Votes) -> tuple[Votes, str]:
    return tuple(v for v in votes if v.kind == "judge"), "judge"


def _humans_else_judges(votes: Votes) -> tuple[Votes, str]:
    humans = tuple(v for v in votes if v.kind == "human" and v.verdict != "cannot_judge")
    return (humans, "human") if humans else _judges(votes)


def _everybody(votes: Votes) -> tuple[Votes, str]:
    return votes, "all"


def _latest(votes: Votes) -> tuple[Votes, str]:
    said = [v for v in votes if v.verdict != "cannot_judge"]
    return tuple(said[-1:]), said[-1].kind if said else "all"


RULES: dict[str, Callable[[Votes], tuple[Votes, str]]] = {
    HUMAN_MAJORITY: _humans,
    HUMAN_THEN_JUDGE: _humans_else_judges,
    JUDGE_MAJORITY: _judges,
    ALL_MAJORITY: _everybody,
    TIERED: _humans_else_judges,
    LATEST: _latest,
    SOFT: _everybody,
}
# These need a fit over the whole selection before they can label one comparison.
FITTED_RULES = frozenset({DAWID_SKENE})


def pair_labels(record: ComparisonRecord, rule: str) -> Sequence[PairLabel]:
    """Label every pair of a comparison's responses under a rule.

    Raises
    ------
    ValueError
        If there is no such rule, or it needs a fit.
    """
    if rule not in RULES:
        raise ValueError(f"Unknown label rule {rule!r}; use one of {', '.join(RULES)}.")
    return _labels_of(rule, len(record.responses), votes_of(record))


@lru_cache(maxsize=PATTERNS_KEPT)
def _labels_of(rule: str, n_responses: int, votes: Votes) -> tuple[PairLabel, ...]:
    heard, source = RULES[rule](votes)
    overriding = tuple(v for v in votes if v.is_override)[-1:]
    if overriding and rule != JUDGE_MAJORITY:
        heard, source = overriding, "reviewer"
    pairs = combinations(range(n_responses), 2)
    labels = tuple(_pair_label(heard, source, first, second) for first, second in pairs)
    if rule == TIERED and source == "human":
        return tuple(_down_the_tiers(label, votes) for label in labels)
    return tuple(_by_share(label) for label in labels) if rule == SOFT else labels


def _pair_label(votes: Votes, source: str, first: int, second: int) -> PairLabel:
    outcomes = Counter(_outcomes(votes, first, second))
    return PairLabel(
        first=first,
        second=second,
        outcome=plurality(outcomes) or (NO_CONSENSUS if outcomes else UNLABELLED),
        source=source,
        n_first=outcomes[FIRST],
        n_second=outcomes[SECOND],
        n_votes=outcomes.total(),
        share_first=_share_first(votes, first, second),
    )


def _down_the_tiers(label: PairLabel, votes: Votes) -> PairLabel:
    """Ask the judges where people do not agree."""
    if label.outcome != NO_CONSENSUS:
        return label
    judged = _pair_label(*_judges(votes), label.first, label.second)
    return label if judged.outcome in (NO_CONSENSUS, UNLABELLED) else judged


def _by_share(label: PairLabel) -> PairLabel:
    """Let the soft share decide; exactly a half has no direction."""
    share = label.share_first
    if share is None:
        return label
    outcome = NO_CONSENSUS if share == 0.5 else FIRST if share > 0.5 else SECOND
    return PairLabel(
        label.first, label.second, outcome, label.source,
        label.n_first, label.n_second, label.n_votes, share,
    )  # fmt: skip


def _share_first(votes: Votes, first: int, second: int) -> float | None:
    shares = []
    for vote in votes:
        outcome = outcome_of(vote, first, second)
        if vote.probability is not None and (first, second) == (0, 1):
            shares.append(vote.probability)
        elif outcome in SHARE_OF:
            shares.append(SHARE_OF[outcome])
    return sum(shares) / len(shares) if shares else None


SHARE_OF: dict[str | None, float] = {FIRST: 1.0, TIE: 0.5, SECOND: 0.0}


def _outcomes(votes: Votes, first: int, second: int) -> Iterator[str]:
    """Yield one outcome per annotator; one who contradicts themselves evenly abstains."""
    by_annotator: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for vote in votes:
        outcome = outcome_of(vote, first, second)
        if outcome is not None:
            by_annotator[vote.who][outcome] += 1
    for outcomes in by_annotator.values():
        vote_of_one = plurality(outcomes)
        if vote_of_one is not None:
            yield vote_of_one


def outcome_of(vote: Vote | PreferenceRecord, first: int, second: int) -> str | None:
    """What a verdict says about two responses; ``None`` is an abstention."""
    if vote.ranking is None:
        return BOTH_BAD if vote.verdict == BOTH_BAD else None
    ahead, behind = vote.ranking[first], vote.ranking[second]
    if ahead == behind:
        return TIE
    return FIRST if ahead < behind else SECOND


def plurality(votes: Counter[str]) -> str | None:
    """The outcome with most votes, or ``None`` where there is none or more than one."""
    top = votes.most_common(2)
    if not top or (len(top) == 2 and top[0][1] == top[1][1]):
        return None
    return top[0][0]

"""What people's labels say together: agreement with the others, and two who answer alike."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from annotate.quality_signals.betting import Signal, bet_signal, others_rate, shrunk

PEER_MARGIN_KEPT = 0.75
AGREEMENT_PRIOR = (0.7, 10.0)
COLLUSION_SHARED_MIN = 8
UNDECIDED = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """One verdict as the statistics read it.

    Parameters
    ----------
    annotator, comparison
        Whose verdict, on what.
    outcomes
        One word per pair of responses in canonical order ("first", "second", "tie", "both_bad");
        "" where the verdict says nothing.
    shown_first
        Share of the directed pairs whose better response stood before the other on the screen, in
        [0, 1]; ``None`` without direction or known order.
    shown_answer
        The verdict as it was clicked, in shown order; equal texts are the same click.
    seconds_per_token
        Active seconds per token read; ``None`` if unknown.
    """

    annotator: int
    comparison: int
    outcomes: tuple[str, ...]
    shown_first: float | None = None
    shown_answer: str = ""
    seconds_per_token: float | None = None


@dataclass(frozen=True, slots=True)
class PairSignal:
    """How often two annotators answer alike, and how often they would if independent."""

    first: int
    second: int
    signal: Signal


def agreement_values(answers: Sequence[Answer]) -> dict[int, dict[int, float]]:
    """Compare every answer with what most of the others said.

    Parameters
    ----------
    answers
        Answers of everybody, each annotator once per comparison.

    Returns
    -------
    dict of int to dict of int to float
        Per annotator and comparison, the share of the pairs on which the annotator says what the
        plurality of the others says; comparisons without a decided other are left out.
    """
    votes: defaultdict[int, dict[int, Counter[str]]] = defaultdict(dict)
    for answer in answers:
        for place, outcome in enumerate(answer.outcomes):
            if outcome != UNDECIDED:
                votes[answer.comparison].setdefault(place, Counter())[outcome] += 1
    found: defaultdict[int, dict[int, float]] = defaultdict(dict)
    for answer in answers:
        matches = list(_matches(answer, votes[answer.comparison]))
        if matches:
            found[answer.annotator][answer.comparison] = sum(matches) / len(matches)
    return dict(found)


def _matches(answer: Answer, votes: Mapping[int, Counter[str]]) -> Iterable[bool]:
    for place, outcome in enumerate(answer.outcomes):
        if outcome == UNDECIDED:
            continue
        others = votes[place].copy()
        others[outcome] -= 1
        top = others.most_common(2)
        is_decided = top[0][1] > 0 and (len(top) == 1 or top[0][1] > top[1][1])
        if is_decided:
            yield top[0][0] == outcome


def agreement_signals(answers: Sequence[Answer]) -> dict[int, Signal]:
    """Bet per annotator that they agree with the others hardly more than chance would.

    Parameters
    ----------
    answers
        Answers of everybody, in the order in which each annotator gave them.

    Returns
    -------
    dict of int to Signal
        The null is ``chance + PEER_MARGIN_KEPT (peers - chance)``: chance is the agreement of two
        draws from everybody's outcomes, peers the median of the other annotators' agreements, each
        shrunk to ``AGREEMENT_PRIOR``.
    """
    values = agreement_values(answers)
    chance = _chance(answers)
    rates = {w: shrunk(sum(own.values()), len(own), AGREEMENT_PRIOR) for w, own in values.items()}
    signals = {}
    for who, own in values.items():
        peers = max(chance + 0.1, others_rate(rates, who, AGREEMENT_PRIOR))
        null = min(0.95, chance + PEER_MARGIN_KEPT * (peers - chance))
        alternatives = (chance, (chance + null) / 2)
        signals[who] = bet_signal(list(own.values()), null, alternatives, at_the_end=True)
    return signals


def _chance(answers: Sequence[Answer]) -> float:
    counts = Counter(o for answer in answers for o in answer.outcomes if o != UNDECIDED)
    total = counts.total()
    share = sum((n / total) ** 2 for n in counts.values()) if total else 0.5
    # A bet needs room below: where nearly everybody says the same, chance agreement is no guide.
    return min(share, 0.8)


def pair_agreement(first: Answer, second: Answer) -> float | None:
    """Return the share of the pairs of responses on which two answers say the same.

    Parameters
    ----------
    first, second
        Answers on the same comparison.

    Returns
    -------
    float or None
        ``None`` when they have no decided pair in common.
    """
    both = [
        a == b
        for a, b in zip(first.outcomes, second.outcomes, strict=True)
        if UNDECIDED not in (a, b)
    ]
    return sum(both) / len(both) if both else None


def agreement_matrix(answers: Sequence[Answer]) -> dict[tuple[int, int], list[float]]:
    """Compare annotators two by two.

    Parameters
    ----------
    answers
        Answers of everybody, in the order in which each annotator gave them.

    Returns
    -------
    dict of tuple of int to list of float
        Per pair (smaller id first), their agreement on each comparison that both answered.
    """
    by_comparison: defaultdict[int, list[Answer]] = defaultdict(list)
    for answer in answers:
        by_comparison[answer.comparison].append(answer)
    found: defaultdict[tuple[int, int], list[float]] = defaultdict(list)
    for group in by_comparison.values():
        for first, second in combinations(sorted(group, key=lambda a: a.annotator), 2):
            alike = pair_agreement(first, second)
            if alike is not None:
                found[first.annotator, second.annotator].append(alike)
    return dict(found)


def collusion_signals(answers: Sequence[Answer]) -> list[PairSignal]:
    """Bet per pair of annotators that they answer alike more than their accuracies explain.

    Parameters
    ----------
    answers
        Answers of everybody, in the order in which each annotator gave them.

    Returns
    -------
    list of PairSignal
        Only pairs of which both share ``COLLUSION_SHARED_MIN`` comparisons with a third annotator.
        With a and b their agreements with the third annotator whom each resembles most,
        independent annotators would agree at most ``a b + (1 - a)(1 - b)`` of the time; the null
        is half-way from there to 1, which leaves room for comparisons that mislead everybody
        alike. The odds are divided by the number of partners looked at (Bonferroni). A ring of
        three hides behind its third member.
    """
    matrix = agreement_matrix(answers)
    rates: defaultdict[int, dict[int, float]] = defaultdict(dict)
    for (first, second), alike in matrix.items():
        if len(alike) >= COLLUSION_SHARED_MIN:
            rate = shrunk(sum(alike), len(alike), AGREEMENT_PRIOR)
            rates[first][second] = rates[second][first] = rate
    found = (
        _pair(pair, alike, rates)
        for pair, alike in sorted(matrix.items())
        if len(alike) >= COLLUSION_SHARED_MIN
    )
    return [pair for pair in found if pair is not None]


def _pair(
    pair: tuple[int, int], alike: Sequence[float], rates: Mapping[int, Mapping[int, float]]
) -> PairSignal | None:
    thirds = [
        [rate for third, rate in rates[who].items() if third not in pair] for who in pair
    ]  # fmt: skip
    if not all(thirds):
        return None
    a, b = (max(own) for own in thirds)
    null = (1 + a * b + (1 - a) * (1 - b)) / 2
    alternatives = [null + share * (1 - null) for share in (0.6, 0.9)]
    found = bet_signal(alike, null, alternatives, at_the_end=True)
    n_partners = max(len(rates[who]) for who in pair)
    return PairSignal(*pair, Signal(found.share, null, found.odds / n_partners))

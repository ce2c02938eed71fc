"""A running bet against honesty, and the shares that it is about."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

ALARM_ODDS = 50.0
Prior = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Share:
    """A share of ``n`` with its 95 % interval; ``hits`` may be fractional."""

    hits: float
    n: int
    low: float
    high: float

    @property
    def value(self) -> float | None:
        """The share, ``None`` when nothing was counted."""
        return self.hits / self.n if self.n else None


@dataclass(frozen=True, slots=True)
class Signal:
    """One thing watched: its share, what the null allows, and the evidence against the null.

    ``odds`` is what the bet has made of one unit of capital.
    """

    share: Share
    allowed: float
    odds: float

    @property
    def is_alarm(self) -> bool:
        """Whether the bet has won enough to tell somebody."""
        return self.odds >= ALARM_ODDS


def wilson(hits: float, n: int, z: float = 1.959964) -> Share:
    """Return a share with its Wilson score interval.

    Parameters
    ----------
    hits
        Successes out of ``n``; fractional successes count in part.
    n
        Trials; 0 gives the interval [0, 1].
    z
        Normal quantile, 1.96 for 95 %.

    Returns
    -------
    Share
        The share and its interval.

    References
    ----------
    Wilson, E. B. (1927). Probable inference, the law of succession, and statistical inference.
    JASA 22, 209-212: ``(p + z²/2n ± z sqrt(p(1-p)/n + z²/4n²)) / (1 + z²/n)``.
    """
    if n == 0:
        return Share(0.0, 0, 0.0, 1.0)
    p, weight = hits / n, z * z / n
    middle = (p + weight / 2) / (1 + weight)
    half = z * math.sqrt(p * (1 - p) / n + weight / (4 * n)) / (1 + weight)
    return Share(hits, n, max(0.0, middle - half), min(1.0, middle + half))


def capitals(
    values: Iterable[float], null: float, alternatives: Sequence[float]
) -> Iterator[float]:
    """Yield the capital of a bet against "the mean is on the null's side", value by value.

    Parameters
    ----------
    values
        Observations in [0, 1], in the order in which they came.
    null
        The boundary mean m, inside (0, 1).
    alternatives
        Means q that the bet is spread over evenly, all on the same side of ``null``. For zeros and
        ones the factor ``1 + (q - m)(x - m) / (m(1 - m))`` is the likelihood ratio of q to m.

    Yields
    ------
    float
        The mixture capital: 1 before the first value, then one number per value.

    References
    ----------
    Waudby-Smith & Ramdas (2024), eq. (11), with constant bets.
    """
    bets = [(q - null) / (null * (1 - null)) for q in alternatives]
    logs = [0.0] * len(bets)
    yield 1.0
    for x in values:
        logs = [log + math.log1p(bet * (x - null)) for log, bet in zip(logs, bets, strict=True)]
        yield _mean_exp(logs)


def _mean_exp(logs: Sequence[float]) -> float:
    # Beyond e^500 the odds say nothing more and would overflow.
    return sum(math.exp(min(log, 500.0)) for log in logs) / len(logs)


def bet_signal(
    values: Sequence[float], null: float, alternatives: Sequence[float], *, at_the_end: bool = False
) -> Signal:
    """Bet on values.

    Parameters
    ----------
    values, null, alternatives
        As for ``capitals``.
    at_the_end
        Take the capital after the last value in place of the largest on the way. It does not depend
        on the order, so a stretch of easy or hard comparisons, which an estimated null knows
        nothing of, makes no alarm.

    Returns
    -------
    Signal
        The share of the values with its interval, and the odds.
    """
    path = list(capitals(values, null, alternatives))
    odds = path[-1] if at_the_end else max(path)
    return Signal(wilson(sum(values), len(values)), null, odds)


def shrunk(hits: float, n: int, prior: Prior) -> float:
    mean, weight = prior
    return (hits + mean * weight) / (n + weight)


def others_rate(rates: Mapping[int, float], who: int, prior: Prior) -> float:
    """The median of the others' rates; it stands while less than half of them are dishonest."""
    return median([rate for other, rate in rates.items() if other != who] or [prior[0]])

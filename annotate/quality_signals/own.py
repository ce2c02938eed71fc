"""What somebody's own labels say: position, runs, known answers, repeats, reading time."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median

from annotate.quality_signals.betting import (
    ALARM_ODDS,
    Signal,
    bet_signal,
    others_rate,
    shrunk,
)

POSITION_BIAS_ALLOWED = 0.15
GOLD_PRIOR = (0.95, 10.0)
GOLD_MARGIN = 0.05
SELF_FLOOR = 0.6
SPEED_LOG_SCALE_MIN = 0.5
SPEED_Z_ALARM = -3.0
SPEED_N_MIN = 10


@dataclass(frozen=True, slots=True)
class RunSignal:
    """The longest run of one and the same click and a bound on its probability."""

    length: int
    n: int
    p_bound: float

    @property
    def is_alarm(self) -> bool:
        """Whether chance hardly makes such a run."""
        return self.p_bound <= 1 / ALARM_ODDS


@dataclass(frozen=True, slots=True)
class SpeedSignal:
    """An annotator's reading time against the others', on the log scale.

    ``median_s`` and its interval are seconds per token; ``z`` is the distance of the interval's
    upper end from the annotators' median in robust standard deviations, ``None`` without peers.
    """

    median_s: float
    low_s: float
    high_s: float
    n: int
    z: float | None

    @property
    def per_100_s(self) -> float:
        """Median seconds for 100 tokens."""
        return 100 * self.median_s

    @property
    def is_alarm(self) -> bool:
        """Whether even the slow end of the interval is far below everybody else."""
        return self.n >= SPEED_N_MIN and self.z is not None and self.z <= SPEED_Z_ALARM


def position_signal(shown_first: Sequence[float]) -> Signal:
    """Bet that somebody prefers what stands first (or last) whatever it says.

    Parameters
    ----------
    shown_first
        ``Answer.shown_first`` of the directed verdicts, in order. With random shown order its mean
        is 1/2 for every honest annotator; a bias of ``POSITION_BIAS_ALLOWED`` is let pass.

    Returns
    -------
    Signal
        The share and the stronger of the two one-sided bets, at half the odds for looking twice.
    """
    high = 0.5 + POSITION_BIAS_ALLOWED
    alternatives = (0.8, 0.9, 0.98)
    towards_first = bet_signal(shown_first, high, alternatives)
    towards_last = bet_signal([1 - x for x in shown_first], high, alternatives)
    stronger = max(towards_first, towards_last, key=lambda signal: signal.odds)
    return Signal(towards_first.share, high, stronger.odds / 2)


def run_signal(shown_answers: Sequence[str], shares: Mapping[str, float]) -> RunSignal:
    """Bound the chance of the longest run of one and the same click.

    Parameters
    ----------
    shown_answers
        Clicks in order.
    shares
        How large a share of everybody's clicks each click is.

    Returns
    -------
    RunSignal
        A run of length r of a click with probability p turns up among n clicks with probability at
        most ``n p^r`` (union bound over its start); p is taken as at least 1/2.
    """
    n, worst = len(shown_answers), RunSignal(0, len(shown_answers), 1.0)
    for click, run in groupby(shown_answers):
        length = sum(1 for _ in run)
        bound = min(1.0, n * max(0.5, shares.get(click, 0.0)) ** length)
        if bound < worst.p_bound or worst.length == 0:
            worst = RunSignal(length, n, bound)
    return worst


def gold_signals(results: Mapping[int, Sequence[bool]]) -> dict[int, Signal]:
    """Bet per annotator that they miss known answers that the others find.

    Parameters
    ----------
    results
        Per annotator, whether each known answer was found, in order.

    Returns
    -------
    dict of int to Signal
        The null is the median of the others' accuracies, each shrunk to ``GOLD_PRIOR``, less
        ``GOLD_MARGIN``.
    """
    rates = {who: shrunk(sum(found), len(found), GOLD_PRIOR) for who, found in results.items()}
    signals = {}
    for who, found in results.items():
        null = others_rate(rates, who, GOLD_PRIOR) - GOLD_MARGIN
        alternatives = [null * factor for factor in (0.7, 0.4)]
        signals[who] = bet_signal([float(x) for x in found], null, alternatives)
    return signals


def repeat_signal(same: Sequence[float]) -> Signal:
    """Bet that somebody contradicts themselves when shown a comparison again.

    Parameters
    ----------
    same
        Share of the pairs of responses on which the repeat says the same, per repeat.

    Returns
    -------
    Signal
        Against agreeing with oneself less often than ``SELF_FLOOR``.
    """
    return bet_signal(same, SELF_FLOOR, (0.2, 0.4))


def speed_signals(seconds: Mapping[int, Sequence[float]]) -> dict[int, SpeedSignal]:
    """Compare each annotator's median log reading time with the other annotators'.

    Parameters
    ----------
    seconds
        Active seconds per token of each annotator's labels.

    Returns
    -------
    dict of int to SpeedSignal
        Reading times have heavy tails, so: medians, an interval of the median from order
        statistics, and the spread between annotators as 1.4826 MAD, at least
        ``SPEED_LOG_SCALE_MIN``.
    """
    logs = {who: sorted(math.log(max(s, 1e-6)) for s in own) for who, own in seconds.items() if own}
    middles = {who: median(own) for who, own in logs.items()}
    return {who: _speed(own, [m for w, m in middles.items() if w != who])
            for who, own in logs.items()}  # fmt: skip


def _speed(own: Sequence[float], peers: Sequence[float]) -> SpeedSignal:
    low, high = _median_interval(own)
    z = None
    if len(peers) >= 2:
        centre = median(peers)
        spread = 1.4826 * median(abs(peer - centre) for peer in peers)
        z = (high - centre) / max(spread, SPEED_LOG_SCALE_MIN)
    return SpeedSignal(math.exp(median(own)), math.exp(low), math.exp(high), len(own), z)


def _median_interval(ordered: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of the median by order statistics (Conover 1999, section 3.2)."""
    n = len(ordered)
    reach = 1.959964 * math.sqrt(n) / 2
    low = max(0, math.floor(n / 2 - reach) - 1)
    high = min(n - 1, math.ceil(n / 2 + reach))
    return ordered[low], ordered[high]

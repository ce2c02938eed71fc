"""What labels say about the people who gave them: statistics in plain Python, no database.

Every signal is a running bet against "this annotator is honest". The bet's capital grows while the
labels look worse than the null allows, and under the null it reaches ``ALARM_ODDS`` ever, at
whatever moment one looks, with probability at most one in ``ALARM_ODDS`` (Ville's inequality). So
an alarm may be looked for after every label without false alarms piling up. The guarantee is exact
for the position of responses, which are shown in random order; elsewhere the null is estimated from
the other annotators, with a margin in the annotator's favour, and holds approximately; there the
capital counts as it stands, not at its best.

References
----------
Ville, J. (1939). Étude critique de la notion de collectif.
Waudby-Smith, I. & Ramdas, A. (2024). Estimating means of bounded random variables by betting.
JRSS B 86(1), eq. (11): capital as a product of ``1 + lambda (x - m)``.
"""

from annotate.quality_signals.betting import ALARM_ODDS, Share, Signal, capitals, wilson
from annotate.quality_signals.own import (
    RunSignal,
    SpeedSignal,
    gold_signals,
    position_signal,
    repeat_signal,
    run_signal,
    speed_signals,
)
from annotate.quality_signals.together import (
    UNDECIDED,
    Answer,
    PairSignal,
    agreement_matrix,
    agreement_signals,
    agreement_values,
    collusion_signals,
    pair_agreement,
)

__all__ = [
    "ALARM_ODDS",
    "UNDECIDED",
    "Answer",
    "PairSignal",
    "RunSignal",
    "Share",
    "Signal",
    "SpeedSignal",
    "agreement_matrix",
    "agreement_signals",
    "agreement_values",
    "capitals",
    "collusion_signals",
    "gold_signals",
    "pair_agreement",
    "position_signal",
    "repeat_signal",
    "run_signal",
    "speed_signals",
    "wilson",
]

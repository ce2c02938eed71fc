"""Query strategies: what to label next. One registry, one interface, versioned identifiers."""

from collections.abc import Mapping
from typing import Final

from routing.core.acquisition.badge import BADGE
from routing.core.acquisition.bal_pm import BAL_PM, BAL_PM_ITEM
from routing.core.acquisition.bald import BALD, ENTROPY, MARGIN, POWER_BALD
from routing.core.acquisition.base import AcquisitionInputs, Selection, Strategy
from routing.core.acquisition.batch_bald import BATCH_BALD
from routing.core.acquisition.compose import compose_batch
from routing.core.acquisition.d_optimal import D_OPTIMAL
from routing.core.acquisition.design import (
    EPIG_DIRECTION,
    EPIG_EARLY,
    EPIG_LINEAR,
    EPIG_STAGED,
)
from routing.core.acquisition.epig import EPIG
from routing.core.acquisition.k_center import K_CENTER
from routing.core.acquisition.picking import tie_hashes
from routing.core.acquisition.random import RANDOM

_ALL = (
    RANDOM,
    ENTROPY,
    MARGIN,
    BALD,
    BAL_PM,
    BAL_PM_ITEM,
    BADGE,
    K_CENTER,
    D_OPTIMAL,
    EPIG,
    EPIG_LINEAR,
    EPIG_DIRECTION,
    EPIG_EARLY,
    EPIG_STAGED,
    BATCH_BALD,
    POWER_BALD,
)
STRATEGIES: Final[Mapping[str, Strategy]] = {strategy.id: strategy for strategy in _ALL}

__all__ = [
    "STRATEGIES",
    "AcquisitionInputs",
    "Selection",
    "Strategy",
    "compose_batch",
    "tie_hashes",
]

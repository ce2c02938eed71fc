"""Uniform random choice: the yardstick of every other strategy."""

from __future__ import annotations

from typing import Final

import numpy as np

from routing.core.acquisition.base import AcquisitionInputs, Selection, Strategy
from routing.core.acquisition.picking import pick_ranked


def _select(inputs: AcquisitionInputs, batch_size: int, rng: np.random.Generator) -> Selection:
    return pick_ranked(inputs, rng.random(inputs.n_candidates), batch_size, rng)


RANDOM: Final = Strategy("random-v1", "Random", "Drawn uniformly at random.", (), _select)

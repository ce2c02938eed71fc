"""Whether the performance of mixes can be predicted on a recorded file, over several splits."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from routing.core.arrays import FloatArray
from routing.core.tags import UNKNOWN
from routing.phrases import tag_phrase
from routing.replay.pool import Pool
from routing.replay.settings import ReplaySettings
from routing.study.heads import Part
from routing.study.run import StudyNumbers, run_study

PUBLISHED_SPEARMAN = 0.610
_N_SPLITS = 3
_N_TOP = 8


@dataclass(frozen=True)
class _Split:
    """One study and the tags that speak loudest in it."""

    numbers: StudyNumbers
    t_value: FloatArray


def ppm_report(
    pool: Pool,
    tag_names: tuple[str, ...],
    settings: ReplaySettings,
    *,
    report: Callable[[float, str], None],
) -> dict[str, Any]:
    """Study mixes under three splits of the prompts; medians, and the verdict of the majority."""
    part = _part(pool)
    splits = []
    for seed in range(_N_SPLITS):
        report(seed / _N_SPLITS, f"Study {seed + 1} of {_N_SPLITS}")
        numbers = run_study(part, n_mixes=settings.n_mixes, seed=seed, report=_silent)
        splits.append(_Split(numbers, numbers.effects.t_value))
    return _report(splits, tag_names)


def _silent(fraction: float, text: str) -> None:
    """Take a progress report that nobody shows."""


def _part(pool: Pool) -> Part:
    """Rows with both labels, as a study reads them."""
    both = ~np.isnan(pool.judge)
    kept = pool.take(both)
    return Part(
        differences=kept.differences,
        human=kept.bought,
        human_share=kept.share,
        judge=kept.judge,
        prompt=kept.prompt,
        tags=kept.tags,
        judge_probability=kept.judge_probability,
        weight=np.ones(kept.n),
    )


def _report(splits: list[_Split], tag_names: tuple[str, ...]) -> dict[str, Any]:
    validations = [split.numbers.validation for split in splits]
    verdicts = [split.numbers.verdict for split in splits]
    n_signal = sum(verdict.has_signal for verdict in verdicts)
    has_signal = 2 * n_signal > len(splits)
    # The reason shown is one of those that agree with the majority.
    reason = next(verdict.reason for verdict in verdicts if verdict.has_signal == has_signal)
    t_value = np.median([split.t_value for split in splits], axis=0)
    loudest = np.argsort(-t_value, kind="stable")
    return {
        "spearman": _median([v.spearman.estimate for v in validations]),
        "spearman_low": _median([v.spearman.low for v in validations]),
        "spearman_high": _median([v.spearman.high for v in validations]),
        "published_spearman": PUBLISHED_SPEARMAN,
        "rmse_pp": _median([v.rmse_pp for v in validations]),
        "spread_pp": _median([v.spread_pp for v in validations]),
        "noise_floor_pp": _median([split.numbers.noise_floor_pp for split in splits]),
        "half_correlation": _median([split.numbers.halves.estimate for split in splits]),
        "n_mixes": validations[0].n_mixes,
        "n_splits": len(splits),
        "n_splits_with_signal": n_signal,
        "has_signal": has_signal,
        "reason": reason,
        "top_features": [
            {
                "name": tag_names[k],
                "phrase": tag_phrase(tag_names[k]),
                "t_value": round(float(t_value[k]), 2),
            }
            for k in loudest
            if t_value[k] > 0 and not tag_names[k].endswith(f"={UNKNOWN}")
        ][:_N_TOP],
    }


def _median(values: list[float]) -> float:
    return round(float(np.median(values)), 4)

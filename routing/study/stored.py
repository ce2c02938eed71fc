"""A study as JSON: what pages show, and what later decisions need to score without a refit."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from annotate.errors import NotReady
from modeling.core.metrics import Interval
from routing.core.effects import TagEffects
from routing.core.features import FrozenBins
from routing.core.ppm import RidgePpm
from routing.core.ppm_baselines import HyperReferencePpm
from routing.core.tags import TagMatrix
from routing.study.run import Point, StudyNumbers

_FORMAT = 1


def ppm_to_dict(
    ppm: RidgePpm, bins: FrozenBins, tags: TagMatrix, metadata_keys: Sequence[str]
) -> dict[str, Any]:
    """Return the fitted model with its cut points and columns, ready for JSON."""
    fitted = {name: value for name, value in vars(ppm).items() if name.endswith("_")}
    return {
        "format": _FORMAT,
        "form": ppm.form,
        "bins": bins.to_dict(),
        "tag_names": list(tags.names),
        "metadata_keys": list(metadata_keys),
        "fitted": {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in fitted.items()
        },
    }


def ppm_from_dict(state: Mapping[str, Any]) -> tuple[RidgePpm, FrozenBins]:
    """Rebuild the fitted model and its cut points."""
    if state.get("format") != _FORMAT:
        raise NotReady("This routing study was made by another version. Run a new study.")
    ppm = RidgePpm(form=state["form"])
    for name, value in state["fitted"].items():
        setattr(ppm, name, np.asarray(value) if isinstance(value, list) else value)
    return ppm, FrozenBins.from_dict(state["bins"])


def reference_to_dict(reference: HyperReferencePpm) -> dict[str, Any]:
    """Return the published model, ready for JSON."""
    return {
        "tag_counts": np.asarray(reference.tag_counts).tolist(),
        "coef": reference.coef_.tolist(),
        "intercept": reference.intercept_,
    }


def reference_from_dict(state: Mapping[str, Any]) -> HyperReferencePpm:
    """Rebuild the published model."""
    reference = HyperReferencePpm(np.asarray(state["tag_counts"], dtype=np.float64))
    reference.coef_ = np.asarray(state["coef"], dtype=np.float64)
    reference.intercept_ = float(state["intercept"])
    return reference


def result_to_dict(numbers: StudyNumbers, tags: TagMatrix) -> dict[str, Any]:
    """Return every figure of a study, ready for JSON."""
    validation = numbers.validation
    n_train, n_dev, n_test = numbers.sizes
    return {
        "n_train": n_train,
        "n_dev": n_dev,
        "n_test": n_test,
        "prior_precision": numbers.prior_precision,
        "dev_accuracy": dict(zip(("judge", "human"), numbers.dev_accuracy, strict=True)),
        "ppm": {
            "spearman": vars(validation.spearman),
            "rmse_pp": validation.rmse_pp,
            "spread_pp": validation.spread_pp,
            "noise_floor_pp": numbers.noise_floor_pp,
            "b_only_rmse_pp": numbers.b_only_rmse_pp,
            "half_correlation": vars(numbers.halves),
            "n_mixes": validation.n_mixes,
            "has_signal": numbers.verdict.has_signal,
            "reason": numbers.verdict.reason,
        },
        "frontier": _frontier_to_dict(numbers),
        "tags": _tag_effects(numbers.effects, tags),
        "measured": [_point_to_dict(point) for point in numbers.points],
    }


def _frontier_to_dict(numbers: StudyNumbers) -> dict[str, Any]:
    """The curve, and the covariance of its points, from which the next dollars get an interval."""
    curve = numbers.frontier
    names = ("human_share", "performance", "low", "high", "random_performance")
    points = {name: [round(float(v), 6) for v in getattr(curve, name)] for name in names}
    covariance = curve.design @ curve.cov @ curve.design.T
    return points | {"covariance": [[float(f"{v:.6g}") for v in row] for row in covariance]}


def _tag_effects(effects: TagEffects, tags: TagMatrix) -> list[dict[str, Any]]:
    """Effect in points of giving people every comparison of a tag, strongest evidence first."""
    order = np.argsort(-np.abs(effects.t_value), kind="stable")
    support = tags.matrix.sum(axis=0)
    return [
        {
            "name": tags.names[k],
            "effect_pp": round(100 * float(effects.effect[k]), 4),
            "low": round(100 * float(effects.low[k]), 4),
            "high": round(100 * float(effects.high[k]), 4),
            "support": int(support[k]),
        }
        for k in order
        # A tag that goes the same way in every mix has no effect that could be told.
        if np.isfinite(effects.low[k])
    ]


def _point_to_dict(point: Point) -> dict[str, Any]:
    return {
        "policy": point.policy,
        "human_share": point.human_share,
        "performance": _interval(point.measured.performance),
        "accuracy": _interval(point.measured.accuracy),
        "gain": _interval(point.measured.gain),
    }


def _interval(value: Interval) -> dict[str, Any]:
    return {
        "estimate": value.estimate,
        "low": value.low,
        "high": value.high,
        "n": value.n,
        "n_prompts": value.n_groups,
    }

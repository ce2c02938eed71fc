"""What policies may look at when they decide about a pool: read from a study, no refit."""

from typing import Any

import numpy as np
from scipy.special import expit, logit

from annotate.errors import NotReady
from annotate.models import Comparison
from routing.choices import CONFORMAL_POLICY, CRITERION_POLICY, INFLUENCE_POLICY, REFERENCE_POLICY
from routing.core.arrays import BoolArray, FloatArray
from routing.core.deferral import deferral_threshold
from routing.core.influence import TrustedSet, expected_label_change, label_influence
from routing.core.policies import RoutingInputs
from routing.core.tags import TagMatrix, build_tags
from routing.models import RoutingBatch, RoutingStudy
from routing.study.evidence import margins_of
from routing.study.stored import ppm_from_dict, reference_from_dict
from routing.tables import FeatureTable, double_labels, pool_differences

DEFAULT_MAX_ERROR = 0.1


def known_inputs(
    batch: RoutingBatch, table: FeatureTable, extra_cost_usd: FloatArray
) -> tuple[RoutingInputs, TagMatrix | None]:
    """Read what the policy of a batch needs; the tags come with it, for reasons and reports."""
    study = batch.study
    known: dict[str, Any] = {
        "n_comparisons": len(table.comparison_ids),
        "extra_cost_usd": extra_cost_usd,
        "judge_probability": table.judge_probability,
    }
    if study is None:
        return RoutingInputs(**known), None
    ppm, bins = ppm_from_dict(study.ppm)
    tags = build_tags(bins, table.statistics, table.categorical, names=study.ppm["tag_names"])
    chance = p_disagree(study, tags.matrix)
    known |= {"tags": tags.matrix, "ppm": ppm, "p_disagree": chance}
    reader = _READERS.get(batch.policy)
    if reader is not None:
        known |= reader(batch, study, table, chance)
    return RoutingInputs(**known), tags


def p_disagree(study: RoutingStudy, tags: BoolArray) -> FloatArray:
    """Probability that a person differs from the judge, by the study's formula."""
    stored = study.ppm["disagreement"]
    log_odds = stored["intercept"] + tags @ np.asarray(stored["coef"], dtype=np.float64)
    return np.asarray(expit(log_odds), dtype=np.float64)


def _stored(study: RoutingStudy, *path: str) -> Any:
    """A part of a study that earlier versions did not keep."""
    found: Any = study.ppm
    for key in path:
        if key not in found:
            raise NotReady("This routing study was made by another version. Run a new study.")
        found = found[key]
    return found


def _conformal(
    batch: RoutingBatch, study: RoutingStudy, table: FeatureTable, chance: FloatArray
) -> dict[str, Any]:
    held_out = np.asarray(_stored(study, "disagreement", "held_out"), dtype=np.float64)
    wrong = np.asarray(_stored(study, "disagreement", "wrong"), dtype=np.float64)
    accepted = float(batch.options.get("max_error", DEFAULT_MAX_ERROR))
    return {"deferral_threshold": deferral_threshold(held_out, wrong, max_error=accepted)}


def _criterion(
    batch: RoutingBatch, study: RoutingStudy, table: FeatureTable, chance: FloatArray
) -> dict[str, Any]:
    shifts = _stored(study, "disagreement", "criterion_shifts")
    rows = Comparison.objects.filter(project=batch.project).values_list("pk", "criterion")
    criteria = dict(rows.iterator())
    by_row = [shifts.get(criteria.get(pk, ""), 0.0) for pk in table.comparison_ids.tolist()]
    log_odds = logit(np.clip(chance, 1e-6, 1 - 1e-6)) + np.array(by_row)
    return {"p_disagree_by_criterion": np.asarray(expit(log_odds), dtype=np.float64)}


def _reference(
    batch: RoutingBatch, study: RoutingStudy, table: FeatureTable, chance: FloatArray
) -> dict[str, Any]:
    return {"reference_ppm": reference_from_dict(_stored(study, "reference"))}


def _influence(
    batch: RoutingBatch, study: RoutingStudy, table: FeatureTable, chance: FloatArray
) -> dict[str, Any]:
    """Measured on the double labels, which are people's and lie outside the pool."""
    assert batch.judge is not None
    encoder = study.parameters["encoder"]
    trusted = double_labels(project=batch.project, judge=batch.judge, encoder=encoder)
    differences = pool_differences(
        project=batch.project, comparison_ids=table.comparison_ids, encoder=encoder
    )
    label = np.sign(np.nan_to_num(table.judge_probability, nan=0.5) - 0.5)
    sides = np.sign(trusted.human - 0.5)
    prior = study.result["prior_precision"]
    margin = margins_of(trusted.differences, trusted.human, differences, prior=prior)
    gain = label_influence(
        differences,
        label,
        TrustedSet(trusted.differences, sides, np.zeros(len(sides), dtype=np.int64)),
        expected_label_change(label, chance, margin),
        prior_precision=4.0 * prior / max(len(label), 1),
    )
    return {"influence": gain}


_READERS = {
    CONFORMAL_POLICY: _conformal,
    CRITERION_POLICY: _criterion,
    REFERENCE_POLICY: _reference,
    INFLUENCE_POLICY: _influence,
}

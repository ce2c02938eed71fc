"""What routing has taught so far: the audit, drift, and what the next dollars buy. No numpy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import Any

from django.db import connection

from annotate.models import Annotator, Project
from routing.models import RoutingBatch, RoutingStudy
from routing.phrases import tag_phrase

MIN_MEASURED = 20
Z_95 = 1.959964
# Alarms are looked at often, so that they ask for more than an interval does.
Z_ALARM = 3.0
PSI_ALARM = 0.25

# Labels of both sides as what they prefer: the sign of the difference of ranks.
_AGREEMENT_SQL = """
SELECT count(*) FILTER (WHERE same), count(*) FROM (
    SELECT sign(h.ranking[1] - h.ranking[2]) = sign(j.ranking[1] - j.ranking[2]) AS same
    FROM annotate_preference h
    JOIN annotate_annotator a ON a.id = h.annotator_id AND a.kind = 'human'
    JOIN annotate_comparison c ON c.id = h.comparison_id AND NOT c.is_gold
    JOIN annotate_preference j ON j.comparison_id = h.comparison_id
        AND j.annotator_id = %(judge)s AND j.ranking IS NOT NULL AND j.replicate = 0
    WHERE c.project_id = %(project)s AND h.ranking IS NOT NULL AND h.replicate = 0
      AND c.n_responses = 2 {restriction}
      AND NOT EXISTS (SELECT 1 FROM annotate_preference n WHERE n.supersedes_id = h.id)
      AND NOT EXISTS (SELECT 1 FROM annotate_preference n WHERE n.supersedes_id = j.id)
) AS both_labels
"""
_DECIDED = """
AND h.created_at > b.applied_at
"""
_BY_DECISION_SQL = _AGREEMENT_SQL.replace(
    "WHERE c.project_id",
    """JOIN routing_routingdecision d ON d.comparison_id = c.id AND d.action = 'human'
        AND d.is_audit = %(is_audit)s
    JOIN routing_routingbatch b ON b.id = d.batch_id AND b.undone_at IS NULL
        AND b.policy <> 'pilot-v1'
    WHERE c.project_id""",
)


@dataclass(frozen=True)
class Share:
    """A share of n with its Wilson interval."""

    k: int
    n: int

    @property
    def share(self) -> float:
        """The share itself; 0 of nothing."""
        return self.k / self.n if self.n else 0.0

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        return self._end(-1)

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval."""
        return self._end(1)

    def _end(self, sign: int) -> float:
        return wilson_end(self.share, self.n, sign)

    @property
    def rest(self) -> "Share":
        """The share of the others."""
        return Share(self.n - self.k, self.n)


def wilson_end(share: float, n: float, sign: int) -> float:
    """One end of the 95 % Wilson interval of a share of n; without labels it is all of [0, 1]."""
    if not n:
        return 0.0 if sign < 0 else 1.0
    z2 = Z_95**2
    centre = share + z2 / (2 * n)
    spread = Z_95 * sqrt(share * (1 - share) / n + z2 / (4 * n**2))
    return min(max((centre + sign * spread) / (1 + z2 / n), 0.0), 1.0)


@dataclass(frozen=True)
class AuditReport:
    """How often people contradict the judge: where the router sent them, and at random."""

    routed: Share
    audit: Share

    @property
    def lift(self) -> float:
        """Difference of the two shares of contradictions."""
        return self.routed.share - self.audit.share

    @property
    def half_width(self) -> float:
        """Half of its 95 % interval, by the two Wilson intervals (Newcombe 1998)."""
        low = (self.routed.share - self.routed.low) ** 2 + (self.audit.high - self.audit.share) ** 2
        return sqrt(low)

    @property
    def is_ready(self) -> bool:
        """Whether both sides have enough labels to say anything."""
        return min(self.routed.n, self.audit.n) >= MIN_MEASURED


@dataclass(frozen=True)
class Alarm:
    """Something that has changed since the study, in one sentence."""

    name: str
    sentence: str


@dataclass(frozen=True)
class NextDollars:
    """What the next dollars are predicted to buy, in percentage points."""

    usd: float
    gain_pp: float
    low_pp: float
    high_pp: float
    worth_pp: float

    @property
    def is_stop(self) -> bool:
        """Whether even the better end of the interval is not worth it."""
        return self.high_pp <= self.worth_pp

    @property
    def is_sure(self) -> bool:
        """Whether the worse end is still worth it."""
        return self.low_pp > self.worth_pp


def agreement_with_people(*, project: Project, judge: Annotator) -> Share:
    """How often one label of a person is the judge's, over all double labels of two responses."""
    sql = _AGREEMENT_SQL.format(restriction="")
    return _share(sql, {"project": project.pk, "judge": judge.pk})


def audit_report(*, project: Project, judge: Annotator) -> AuditReport:
    """Compare routed comparisons with those drawn at random, on labels given since."""
    values: dict[str, int | bool] = {"project": project.pk, "judge": judge.pk}
    sql = _BY_DECISION_SQL.format(restriction=_DECIDED)
    routed, audit = (_share(sql, values | {"is_audit": flag}) for flag in (False, True))
    return AuditReport(routed.rest, audit.rest)


def _share(sql: str, values: Mapping[str, int | bool]) -> Share:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        same, total = cursor.fetchone()
    return Share(same, total)


# --- Drift --------------------------------------------------------------------------------------


def drift_alarms(
    *, study: RoutingStudy | None, batch: RoutingBatch | None, audit: AuditReport
) -> list[Alarm]:
    """Say what is no longer as it was when the study was made."""
    if study is None:
        return []
    found = [_agreement_alarm(study, audit.audit.rest), _residual_alarm(study, audit)]
    profile = batch.summary.get("profile") if batch is not None else None
    baseline = study.ppm.get("baseline")
    if profile and baseline:
        found += [_order_alarm(baseline, profile), _mix_alarm(baseline, profile)]
    return [alarm for alarm in found if alarm is not None]


def _agreement_alarm(study: RoutingStudy, now: Share) -> Alarm | None:
    was = Share(
        round(study.result["judge_agreement"] * study.result["n_comparisons"]),
        study.result["n_comparisons"],
    )
    if now.n < MIN_MEASURED or abs(_z(was, now)) < Z_ALARM:
        return None
    return Alarm(
        "Agreement",
        f"In the audit people agree with the judge on {100 * now.share:.0f} % of {now.n}; in the "
        f"study it was {100 * was.share:.0f} %. Study again before you route more.",
    )


def _order_alarm(baseline: Mapping[str, Any], profile: Mapping[str, Any]) -> Alarm | None:
    was = Share(baseline["n_conflicts"], baseline["n_orders"])
    now = Share(profile["n_conflicts"], profile["n_orders"])
    if min(was.n, now.n) < MIN_MEASURED or abs(_z(was, now)) < Z_ALARM:
        return None
    return Alarm(
        "Order of the responses",
        f"The judge changes with the order on {100 * now.share:.0f} % of {now.n:,} comparisons; in "
        f"the study it was {100 * was.share:.0f} %.",
    )


def _mix_alarm(baseline: Mapping[str, Any], profile: Mapping[str, Any]) -> Alarm | None:
    index, name = population_stability(baseline, profile)
    if index < PSI_ALARM:
        return None
    return Alarm(
        "Kinds of comparisons",
        f"The pool differs from what was studied (stability index {index:.2f}, alarm at "
        f"{PSI_ALARM}), most in: {tag_phrase(name)}.",
    )


def population_stability(
    baseline: Mapping[str, Any], profile: Mapping[str, Any]
) -> tuple[float, str]:
    """Largest population stability index over groups of tags, and the tag that adds most to it."""
    groups: dict[str, list[tuple[float, str]]] = {}
    for name, count in baseline["tags"].items():
        was = (count + 0.5) / (baseline["n"] + 1)
        now = (profile["tags"].get(name, 0) + 0.5) / (profile["n"] + 1)
        groups.setdefault(name.split("=")[0], []).append(((now - was) * log(now / was), name))
    if not groups:
        return 0.0, ""
    worst = max(groups.values(), key=lambda terms: sum(term for term, _ in terms))
    return sum(term for term, _ in worst), max(worst)[1]


def _residual_alarm(study: RoutingStudy, audit: AuditReport) -> Alarm | None:
    """Routing that finds fewer errors than chance: the model's residuals have turned."""
    if not study.result["ppm"]["has_signal"] or not audit.is_ready:
        return None
    if _z(audit.audit, audit.routed) > -Z_ALARM:
        return None
    return Alarm(
        "Predictions",
        f"People contradict the judge less often where the router sends them "
        f"({100 * audit.routed.share:.0f} %) than at random ({100 * audit.audit.share:.0f} %).",
    )


def _z(was: Share, now: Share) -> float:
    """Difference of two independent shares in standard errors."""
    pooled = (was.k + now.k + 1) / (was.n + now.n + 2)
    return (now.share - was.share) / sqrt(pooled * (1 - pooled) * (1 / was.n + 1 / now.n))


# --- Next dollars -------------------------------------------------------------------------------


def next_dollars(
    curve: Mapping[str, Any], *, share: float, step_share: float, usd: float, worth_pp: float
) -> NextDollars | None:
    """Predict the gain of so many further comparisons from the stored curve.

    ``share`` and ``step_share`` are shares of the pool at people now, and bought by the dollars.
    """
    covariance = curve.get("covariance")
    if covariance is None:
        return None
    shares = curve["human_share"]
    start, end = _weights(shares, share), _weights(shares, min(share + step_share, 1.0))
    step = [b - a for a, b in zip(start, end, strict=True)]
    gain = sum(w * y for w, y in zip(step, curve["performance"], strict=True))
    variance = sum(
        wa * wb * value
        for wa, row in zip(step, covariance, strict=True)
        for wb, value in zip(step, row, strict=True)
    )
    half = Z_95 * sqrt(max(variance, 0.0))
    return NextDollars(usd, 100 * gain, 100 * (gain - half), 100 * (gain + half), worth_pp)


def _weights(xs: Sequence[float], x: float) -> list[float]:
    """How linear interpolation at x weighs the knots."""
    weights = [0.0] * len(xs)
    above = next((k for k, knot in enumerate(xs) if knot >= x), len(xs) - 1)
    below = max(above - 1, 0)
    width = xs[above] - xs[below]
    part = (x - xs[below]) / width if width > 0 else 1.0
    weights[below] += 1.0 - min(max(part, 0.0), 1.0)
    weights[above] += min(max(part, 0.0), 1.0)
    return weights

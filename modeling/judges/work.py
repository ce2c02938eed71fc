"""From a comparison to a judge's work on it, or to the reason why it gets none."""

from __future__ import annotations

from annotate.models import Comparison, Project
from modeling.judges.asking import Work
from modeling.judges.client import RawReply
from modeling.judges.families import judge_family, own_families, related_sources, source_models
from modeling.judges.questions import asks_of, question_of, question_redacted, template_of
from modeling.models import Judge, JudgeOutcome, JudgeReply


class WorkMaker:
    """Prepares a judge's questions; knows the owner's families and privacy profile."""

    def __init__(self, judge: Judge, project: Project) -> None:
        self.judge = judge
        self.project = project
        self._own = own_families(project)
        self._family = "" if judge.allow_related else judge_family(judge, self._own)
        self._template = template_of(judge.prompt) if judge.prompt else None

    def make(self, comparison: Comparison) -> Work | JudgeOutcome:
        """Return the work, or an outcome that says why the judge does not get the comparison."""
        related = related_sources(source_models(comparison), self._family, self._own)
        if related:
            return JudgeOutcome(
                comparison_id=comparison.pk,
                kind=JudgeOutcome.Kind.RELATED,
                detail=f"{', '.join(related)}: the judge's own family ({self._family}).",
            )
        question = question_of(comparison, project=self.project)
        profile = self.judge.pii_profile
        if profile != Judge.PiiProfile.OFF:
            question, kinds = question_redacted(question, self.judge.pii_terms)
            if kinds and profile == Judge.PiiProfile.BLOCK:
                return JudgeOutcome(
                    comparison_id=comparison.pk,
                    kind=JudgeOutcome.Kind.BLOCKED,
                    detail=f"Holds personal data: {', '.join(kinds)}.",
                )
        asks = asks_of(self.judge, comparison.pk, question)
        return Work(
            comparison.pk,
            question,
            comparison.metadata,
            asks,
            self._cached([ask.hash for ask in asks.values()]),
            self._template,
        )

    def _cached(self, hashes: list[str]) -> dict[str, RawReply]:
        rows = JudgeReply.objects.filter(judge=self.judge, request_hash__in=hashes)
        return {row.request_hash: _known(row) for row in rows}


def _known(row: JudgeReply) -> RawReply:
    shown = row.first_probability
    if shown is not None and row.order_swapped:
        shown = 1.0 - shown
    return RawReply(
        row.text,
        row.model_reported,
        row.input_tokens,
        row.output_tokens,
        row.latency_ms,
        row.system_fingerprint,
        shown,
        row.cost_usd,
    )

"""What tests of quality at the source do again and again."""

import random
import uuid
from typing import Any

from annotate.models import Annotator, Assignment, Gold, Project, QualityPolicy
from annotate.services.assignments import assignment_lease_next
from annotate.services.gold import accepted_parse, gold_create
from annotate.services.preferences import VerdictInput, verdict_submit
from annotate.services.quality_hooks import Feedback, special_lease
from tests.factories import make_comparison

RNG = random.Random


def make_policy(project: Project, **fields: Any) -> QualityPolicy:
    return QualityPolicy.objects.create(project=project, **fields)


def make_gold(
    project: Project, *, use: str = "work", accepted: str = "A", explanation: str = ""
) -> Gold:
    comparison = make_comparison(project)
    answers = accepted_parse(accepted, n_responses=comparison.n_responses)
    return gold_create(
        comparison=comparison, user=None, accepted=answers, use=use, explanation=explanation
    )


def leased(annotator: Annotator, seed: int = 1) -> Assignment:
    found = special_lease(annotator=annotator, rng=RNG(seed))
    assert found is not None
    return found


def say(assignment: Assignment, canonical: str) -> Feedback | None:
    """Answer "A" or "B" of the canonical order, wherever it stands on the screen."""
    is_left = assignment.shown_order.index("AB".index(canonical)) == 0
    given = VerdictInput(verdict="ranked", strength=-1 if is_left else 1)
    return verdict_submit(assignment=assignment, given=given, idempotency_key=uuid.uuid4()).feedback


def labelled(project: Project, annotator: Annotator, n: int) -> None:
    for _ in range(n):
        make_comparison(project)
        found = assignment_lease_next(annotator=annotator)
        assert found is not None
        say(found, "A")

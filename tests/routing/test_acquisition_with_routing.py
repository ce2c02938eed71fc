"""Acquisition and routing on one queue and one budget; judges' labels in the posterior."""

from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from django.contrib.auth.models import User

from annotate.access import get_annotator_for, get_project_for
from annotate.errors import ApplicationError
from annotate.models import Annotator, Comparison, Project
from annotate.services.assignments import assignment_lease_next
from routing.acquisition.project_labels import project_labels
from routing.models import AcquisitionRound, RoutingDecision
from routing.selectors import candidates_of
from routing.services.batches import routing_undo
from routing.services.rounds import acquisition_round_start
from routing.tasks import acquisition_round_execute
from tests.factories import make_preference
from tests.routing_steps import routing_apply


def route(project: Project, judge: Annotator, **values: Any) -> set[int]:
    """Send eight of the twenty open comparisons to people; the judge keeps the others."""
    chosen: dict[str, Any] = {
        "policy": "random-v1", "budget_usd": Decimal("4.00"), "study": None, "user": None,
    }  # fmt: skip
    batch = routing_apply(project=project, judge=judge, **chosen | values)
    humans = batch.decisions.filter(action=RoutingDecision.Action.HUMAN)
    return set(humans.values_list("comparison_id", flat=True))


def run_round(project: Project, batch_size: int = 4) -> AcquisitionRound:
    row = acquisition_round_start(project=project, user=None, batch_size=batch_size)
    acquisition_round_execute(row.pk)
    row.refresh_from_db()
    return row


def test_rounds_pick_only_what_routing_left_to_people(small: Project, judge: Annotator) -> None:
    to_people = route(small, judge)
    row = run_round(small, batch_size=20)
    assert set(row.picks.values_list("comparison_id", flat=True)) == to_people


def test_of_what_goes_to_people_the_picks_come_first(
    small: Project, judge: Annotator, ben: User
) -> None:
    route(small, judge)
    row = run_round(small)
    annotator = get_annotator_for(get_project_for(ben, small.slug))
    lease = assignment_lease_next(annotator=annotator)
    assert lease is not None
    assert lease.comparison_id == row.picks.get(rank=0).comparison_id


def test_routing_leaves_priorities_and_rounds_leave_wanted_labels_alone(
    small: Project, judge: Annotator
) -> None:
    row = run_round(small)
    picked = row.picks.values("comparison")
    before = dict(Comparison.objects.filter(pk__in=picked).values_list("pk", "priority"))
    route(small, judge)
    after = dict(Comparison.objects.filter(pk__in=picked).values_list("pk", "priority"))
    assert after == before
    wanted = dict(Comparison.objects.filter(project=small).values_list("pk", "wanted_labels"))
    run_round(small)
    again = dict(Comparison.objects.filter(project=small).values_list("pk", "wanted_labels"))
    assert again == wanted


def test_undoing_a_routing_batch_makes_candidates_again(small: Project, judge: Annotator) -> None:
    route(small, judge)
    assert candidates_of(project=small).count() == 8
    batch = small.routing_batches.get(number=1)
    routing_undo(batch=batch, user=None)
    assert candidates_of(project=small).count() == 20


def test_a_pick_costs_the_same_budget_as_everything_else(small: Project, ben: User) -> None:
    run_round(small)
    small.budget_usd = small.committed_usd + Decimal("0.50")
    small.save(update_fields=["budget_usd"])
    annotator = get_annotator_for(get_project_for(ben, small.slug))
    first = assignment_lease_next(annotator=annotator)
    assert first is not None
    with pytest.raises(ApplicationError, match=r"(?i)budget"):
        assignment_lease_next(annotator=annotator, exclude=[first.public_id])


def test_a_judges_label_is_soft_until_a_person_labels(small: Project, judge: Annotator) -> None:
    labels = project_labels(project=small, encoder="tfidf")
    judged = np.flatnonzero(~labels.has_human)
    assert len(judged) == 20
    # Judy errs on law; what she says is worth what she has shown on the labelled half.
    sure = np.maximum(labels.target, 1 - labels.target)
    assert len(set(np.round(sure[judged], 9).tolist())) == 1
    np.testing.assert_allclose(labels.weight[judged], (2 * sure[judged] - 1) ** 2)
    pk = int(labels.table.comparison_ids[judged[0]])
    hana = Annotator.objects.get(project=small, name="hana")
    make_preference(Comparison.objects.get(pk=pk), hana, ranking=(1, 0))
    again = project_labels(project=small, encoder="tfidf")
    assert (again.target[judged[0]], again.weight[judged[0]]) == (0.0, 1.0)

"""Acquisition rounds: what comes first in the queue, and that nobody can tell random picks."""

from typing import Any

import pytest
from django.contrib.auth.models import User

from annotate.access import get_annotator_for, get_project_for
from annotate.errors import ApplicationError, ConflictError, NotReady
from annotate.models import Comparison, JobState, Project
from annotate.services.assignments import assignment_lease_next
from modeling.services.training import training_run_start
from modeling.services.training_work import training_run_execute
from routing.models import AcquisitionRound
from routing.selectors import candidates_of, rounds_of, routing_summary
from routing.services.rounds import acquisition_round_pick, acquisition_round_start
from routing.tasks import acquisition_round_execute
from tests.factories import make_annotator, make_preference


def run_round(project: Project, **values: Any) -> AcquisitionRound:
    row = acquisition_round_start(**{"project": project, "user": None, "batch_size": 5, **values})
    acquisition_round_execute(row.pk)
    row.refresh_from_db()
    assert row.state == JobState.DONE, row.message
    return row


def queue(project: Project) -> list[int]:
    found = Comparison.objects.filter(project=project).open().in_queue_order()
    return list(found.values_list("pk", flat=True))


def test_without_a_reward_model_a_round_is_random_and_says_so(small: Project) -> None:
    row = run_round(small)
    assert row.report["strategy"] == "random-v1"
    assert row.message == (
        "5 comparisons went to the head of the queue. There is no reward model yet, so this round "
        "is random. Train one, and the next round can tell what is worth a label."
    )


def test_picks_come_first_in_the_order_of_their_rank(small: Project) -> None:
    row = run_round(small)
    assert queue(small)[:5] == list(row.picks.values_list("comparison_id", flat=True))


def test_newer_rounds_come_before_what_is_left_of_older_ones(small: Project) -> None:
    first, second = run_round(small), run_round(small, seed=1)
    expected = [
        pk for row in (second, first) for pk in row.picks.values_list("comparison_id", flat=True)
    ]
    assert queue(small)[:10] == expected
    assert len(set(expected)) == 10


def test_annotator_gets_the_first_pick(small: Project, ben: User) -> None:
    row = run_round(small)
    lease = assignment_lease_next(annotator=get_annotator_for(get_project_for(ben, small.slug)))
    assert lease is not None
    assert lease.comparison_id == row.picks.get(rank=0).comparison_id


def test_candidates_have_no_label_and_are_in_no_round(small: Project) -> None:
    row = run_round(small)
    assert candidates_of(project=small).count() == 15
    assert not candidates_of(project=small).filter(acquisition_picks__round=row).exists()


def test_picking_twice_keeps_the_first_picks(small: Project) -> None:
    row = run_round(small)
    acquisition_round_pick(AcquisitionRound.objects.get(pk=row.pk))
    assert row.picks.count() == 5


def test_same_seed_picks_the_same(load: Any) -> None:
    first, second = (run_round(load(20, 2, 10), seed=4) for _ in range(2))
    names = [
        list(row.picks.values_list("comparison__external_id", flat=True)) for row in (first, second)
    ]
    assert names[0] == names[1]


@pytest.mark.slow
def test_bal_pm_picks_carry_both_terms_and_mix_in_random_ones(planted: Project, ada: User) -> None:
    training_run_execute(run_id=training_run_start(project=planted, user=ada).pk)
    row = run_round(planted, strategy="bal_pm-v1", batch_size=10, random_share=0.3)
    assert row.reward_model is not None
    picks = list(row.picks.all())
    assert sum(pick.is_random for pick in picks) == 3
    chosen = [pick for pick in picks if not pick.is_random]
    assert None not in {term for pick in chosen for term in (pick.utility, pick.entropy)}
    assert None not in {pick.uncertainty for pick in picks}
    assert {pick.utility for pick in picks if pick.is_random} == {None}
    assert row.report["n_prompts"] == 10
    assert 0 < row.report["coverage_before"] <= row.report["coverage_after"] <= 1


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["k_center-v1", "d_optimal-v1", "epig-v1", "entropy-v1"])
def test_every_strategy_gets_what_it_needs(small: Project, load: Any, strategy: str) -> None:
    project = load(60, 3, 10)
    owner = project.memberships.get().user
    training_run_execute(run_id=training_run_start(project=project, user=owner).pk)
    assert run_round(project, strategy=strategy).picks.count() == 5


def test_rounds_count_what_is_labelled(small: Project) -> None:
    row = run_round(small)
    make_preference(row.picks.get(rank=2).comparison, make_annotator(small))
    counted = rounds_of(project=small).get()
    assert (counted.n_picks, counted.n_labelled) == (5, 1)
    summary = routing_summary(project=small)
    assert (summary.round_number, summary.share_labelled) == (1, 0.2)


def test_nothing_left_to_pick_is_refused_with_a_sentence(small: Project) -> None:
    run_round(small, batch_size=100)
    with pytest.raises(NotReady, match="Nothing is left to pick"):
        run_round(small)


def test_second_round_waits_for_the_first(small: Project) -> None:
    acquisition_round_start(project=small, user=None)
    with pytest.raises(ConflictError, match="A round is being chosen"):
        acquisition_round_start(project=small, user=None)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"strategy": "luck-v1"}, "Unknown strategy 'luck-v1'"),
        ({"batch_size": 0}, "between 1 and 10,000"),
        ({"random_share": 2.0}, "between 0 and 1"),
    ],
)
def test_bad_input_is_refused(small: Project, values: dict[str, Any], words: str) -> None:
    with pytest.raises(ApplicationError, match=words):
        acquisition_round_start(project=small, user=None, **values)

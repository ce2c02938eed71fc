from typing import Any

import pytest

from annotate.models import Annotator, Comparison, Preference, Project
from annotate.selectors.settling import is_settled, standing_votes, votes_saved
from annotate.services.assignments import assignment_lease_next, comparisons_recount
from annotate.services.settling import comparison_settle
from tests.factories import make_annotator, make_comparison, make_preference, make_project

pytestmark = pytest.mark.django_db
FIRST, SECOND, TIE = (0, 1), (1, 0), (0, 0)


@pytest.fixture
def project() -> Project:
    return make_project(protocol={"overlap": 2, "overlap_max": 5})


@pytest.fixture
def comparison(project: Project) -> Comparison:
    return make_comparison(project)


def vote(comparison: Comparison, *rankings: tuple[int, ...] | None, **fields: Any) -> None:
    for ranking in rankings:
        make_preference(comparison, make_annotator(comparison.project), ranking, **fields)
    comparisons_recount(comparison_ids=[comparison.pk])


def settled(comparison: Comparison) -> tuple[int, int]:
    comparison_settle(comparison_id=comparison.pk)
    comparison.refresh_from_db()
    return comparison.wanted_labels, comparison.open_slots


@pytest.mark.parametrize(
    ("rankings", "wanted_and_open"),
    [
        ([FIRST], (2, 1)),
        ([FIRST, FIRST], (2, 0)),
        ([FIRST, SECOND], (3, 1)),
        ([FIRST, TIE], (3, 1)),
        ([FIRST, SECOND, SECOND], (3, 0)),
        ([FIRST, SECOND, TIE, FIRST, SECOND], (5, 0)),
    ],
)
def test_another_person_is_asked_while_the_votes_do_not_settle_it(
    comparison: Comparison, rankings: list[tuple[int, ...]], wanted_and_open: tuple[int, int]
) -> None:
    vote(comparison, *rankings)
    assert settled(comparison) == wanted_and_open


def test_a_larger_lead_asks_for_more(project: Project) -> None:
    project.protocols.update(settle_lead=2)
    comparison = make_comparison(project)
    vote(comparison, FIRST, FIRST, SECOND)
    assert settled(comparison) == (4, 1)
    vote(comparison, FIRST)
    assert settled(comparison) == (4, 0)


def test_who_cannot_judge_adds_no_vote(comparison: Comparison) -> None:
    vote(comparison, None, None, verdict=Preference.Verdict.CANNOT_JUDGE)
    assert settled(comparison) == (3, 1)


@pytest.mark.parametrize(("counts_judges", "wanted"), [(False, 3), (True, 2)])
def test_a_judge_settles_only_where_the_owner_says_so(
    project: Project, comparison: Comparison, counts_judges: bool, wanted: int
) -> None:
    project.protocols.update(settle_with_judges=counts_judges)
    judge = make_annotator(project, kind=Annotator.Kind.JUDGE)
    make_preference(comparison, judge, SECOND)
    vote(comparison, FIRST, SECOND)
    assert settled(comparison)[0] == wanted


def test_a_correction_moves_its_authors_vote(comparison: Comparison) -> None:
    vote(comparison, FIRST, SECOND)
    assert settled(comparison) == (3, 1)
    last = Preference.objects.latest("pk")
    make_preference(comparison, last.annotator, FIRST, supersedes=last)
    comparisons_recount(comparison_ids=[comparison.pk])
    assert settled(comparison) == (2, 0)


def test_a_reviewers_verdict_settles_at_once(comparison: Comparison) -> None:
    vote(comparison, FIRST, SECOND)
    vote(comparison, FIRST, is_override=True)
    assert settled(comparison) == (2, 0)


def test_nothing_is_asked_while_somebody_still_holds_it(project: Project) -> None:
    comparison = make_comparison(project, wanted_labels=3)
    vote(comparison, FIRST, SECOND)
    assert assignment_lease_next(annotator=make_annotator(project)) is not None
    assert settled(comparison) == (3, 0)


def test_a_fixed_overlap_never_grows() -> None:
    comparison = make_comparison(make_project(protocol={"overlap": 2}))
    vote(comparison, FIRST, SECOND)
    assert settled(comparison) == (2, 0)


def test_the_votes_saved_count_against_always_asking_the_most(project: Project) -> None:
    agreed, split, unfinished = (make_comparison(project) for _ in range(3))
    vote(agreed, FIRST, FIRST)
    vote(split, FIRST, SECOND, FIRST)
    vote(unfinished, FIRST)
    for comparison in (agreed, split, unfinished):
        comparison_settle(comparison_id=comparison.pk)
    saved = votes_saved(project=project)
    assert (saved.n_settled, saved.n_saved) == (2, (5 - 2) + (5 - 3))


def test_rankings_are_compared_by_their_order_alone(project: Project) -> None:
    comparison = make_comparison(project, texts=("One.", "Two.", "Three."))
    vote(comparison, (0, 2, 1), (0, 5, 3))
    votes = standing_votes(comparison_id=comparison.pk)
    assert is_settled(votes, project.protocol)


def test_two_who_disagree_bring_in_a_third_through_the_queue(project: Project) -> None:
    comparison = make_comparison(project)
    vote(comparison, FIRST, SECOND)
    third = make_annotator(project)
    assert assignment_lease_next(annotator=third) is None
    comparison_settle(comparison_id=comparison.pk)
    assignment = assignment_lease_next(annotator=third)
    assert assignment is not None
    assert assignment.comparison_id == comparison.pk

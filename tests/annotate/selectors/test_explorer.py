"""Finding, sorting and paging comparisons, and the figures that both stand on."""

from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annotate.errors import ApplicationError
from annotate.models import (
    Annotator,
    Comparison,
    ComparisonFigures,
    Flag,
    Project,
    Review,
)
from annotate.selectors.explorer import (
    ORDERS,
    Filters,
    count_about,
    explored,
    is_sparse,
    key_page,
    terms_usual,
)
from annotate.services import figures
from annotate.services.figures import figures_behind, figures_refresh
from tests.factories import make_annotator, make_comparison, make_preference, make_project

pytestmark = pytest.mark.django_db


@pytest.fixture
def project() -> Project:
    return make_project(slug="answers")


def found(project: Project, **filters: Any) -> set[str]:
    """The ids that pass."""
    figures_refresh(project=project)
    rows = explored(project=project, filters=Filters(**filters))
    return set(rows.values_list("external_id", flat=True))


def labelled(
    project: Project, external_id: str, human: list[list[int]], judge: list[list[int]]
) -> Comparison:
    """A comparison with one vote of a person or judge per ranking."""
    comparison = make_comparison(project, external_id=external_id)
    for kind, rankings in ((Annotator.Kind.HUMAN, human), (Annotator.Kind.JUDGE, judge)):
        for ranking in rankings:
            make_preference(comparison, make_annotator(project, kind=kind), ranking)
    return comparison


# --- Figures ------------------------------------------------------------------------------------

A, B, TIE = [0, 1], [1, 0], [0, 0]


@pytest.mark.parametrize(
    ("human", "judge", "apart", "judge_apart"),
    [
        ([], [], None, None),
        ([A], [], None, None),
        ([A], [A], None, 0.0),
        ([A], [B], None, 1.0),
        ([A, A], [], 0.0, None),
        ([A, B], [], 1.0, None),
        ([A, A, B], [A], 2 / 3, 1 / 3),
        ([A, B, TIE], [A, B], 1.0, 4 / 6),
    ],
)
def test_disagreement_is_the_share_of_pairs_that_differ(
    project: Project,
    human: list[list[int]],
    judge: list[list[int]],
    apart: float | None,
    judge_apart: float | None,
) -> None:
    comparison = labelled(project, "c", human, judge)
    figures_refresh(project=project)
    row = ComparisonFigures.objects.get(comparison=comparison)
    assert row.disagreement == pytest.approx(apart)
    assert row.judge_disagreement == pytest.approx(judge_apart)
    assert (row.n_human, row.n_judge) == (len(human), len(judge))


def test_figures_follow_labels_that_come_later(project: Project) -> None:
    comparison = labelled(project, "c", [A], [])
    figures_refresh(project=project)
    make_preference(comparison, make_annotator(project), B)
    assert figures_refresh(project=project) == 1
    assert ComparisonFigures.objects.get().disagreement == 1.0
    assert figures_refresh(project=project) == 0


def test_a_corrected_vote_counts_as_corrected(project: Project) -> None:
    comparison = labelled(project, "c", [A], [])
    annotator = make_annotator(project)
    first = make_preference(comparison, annotator, B)
    make_preference(comparison, annotator, A, supersedes=first)
    figures_refresh(project=project)
    assert ComparisonFigures.objects.get().disagreement == 0.0


def test_figures_come_in_batches_and_say_how_far_behind_they_are(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figures, "COMPARISONS_AT_ONCE", 2)
    for _ in range(5):
        make_comparison(project)
    assert figures_behind(project=project) > 0
    assert figures_refresh(project=project) == 5
    assert figures_behind(project=project) == 0


def test_a_round_ends_in_time_and_the_next_goes_on(project: Project) -> None:
    make_comparison(project)
    assert figures_refresh(project=project, until=0.0) == 0
    assert figures.figures_refresh_all() == 1


# --- Search and filters -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ("invoice", {"one", "two"}),
        ("INVOICE refund", {"one"}),
        ("refund OR parcel", {"one", "two"}),
        ("invoice -refund", {"two"}),
        ('"late parcel"', {"two"}),
        ('"parcel late"', set()),
        ("seven-minutes", {"three"}),
        ("one", {"one"}),
        ("Käse", {"three"}),
    ],
)
def test_words_are_found_in_id_prompt_and_responses(
    project: Project, words: str, ids: set[str]
) -> None:
    make_comparison(project, external_id="one", prompt="My invoice?", texts=("A refund.", "No."))
    make_comparison(project, external_id="two", prompt="Invoice 7", texts=("Late parcel.", "x"))
    make_comparison(project, external_id="three", prompt="Egg", texts=("seven-minutes", "Käse"))
    assert found(project, q=words) == ids


def test_a_text_beyond_what_a_document_may_hold_is_still_stored(project: Project) -> None:
    text = " ".join(f"w{number}" for number in range(200_000))
    make_comparison(project, external_id="long", texts=(text, "short"))
    assert found(project, q="w7") == {"long"}


def test_states_part_the_comparisons(project: Project) -> None:
    labelled(project, "both", [A], [B])
    labelled(project, "judge", [], [B])
    make_comparison(project, external_id="none", wanted_labels=0)
    make_comparison(project, external_id="gold", is_gold=True, wanted_labels=0)
    review = labelled(project, "review", [A, B], [])
    Review.objects.create(comparison=review, reason="apart")
    states = ("labelled", "judged", "unlabelled", "gold", "review", "held")
    assert {state: found(project, state=state) for state in states} == {
        "labelled": {"both", "review"},
        "judged": {"judge"},
        "unlabelled": {"none", "gold"},
        "gold": {"gold"},
        "review": {"review"},
        "held": set(),
    }
    assert found(project, state="open") == {"both", "judge", "review"}


def test_slices_models_sources_and_flags_narrow_down(project: Project) -> None:
    make_comparison(project, external_id="eggs", metadata={"topic": "eggs", "n": 3, "deep": {}})
    other = make_comparison(project, external_id="other", models=("gpt-x", "model-two"))
    annotator = make_annotator(project)
    make_preference(other, annotator, source="app")
    Flag.objects.create(comparison=other, annotator=annotator, reason="pii")
    assert found(project, slice="topic=eggs") == found(project, slice="n=3") == {"eggs"}
    assert found(project, model="gpt-x") == found(project, source="app") == {"other"}
    assert found(project, flag="any") == found(project, flag="pii") == {"other"}
    assert found(project, flag="unsafe") == found(project, model="gpt-x", slice="n=3") == set()
    terms = terms_usual(project=project, kinds=("meta", "model"))
    assert terms["meta"] == ["n=3", "topic=eggs"]
    assert terms["model"] == ["model-two", "gpt-x", "model-one"]


def test_an_unknown_state_or_order_is_named(project: Project) -> None:
    with pytest.raises(ApplicationError, match="wild"):
        explored(project=project, filters=Filters(state="wild"))
    with pytest.raises(ApplicationError, match="wild"):
        key_page(found=Comparison.objects.all(), order="wild")


# --- Pages --------------------------------------------------------------------------------------


def walked(project: Project, order: str, size: int, *, is_few: bool = False) -> list[str]:
    """The ids of every page, one after the other."""
    ids, cursor, place = [], "", project if is_few else None
    while True:
        rows = explored(project=project, filters=Filters())
        page = key_page(found=rows, order=order, cursor=cursor, size=size, sparse_in=place)
        ids += [row.external_id for row in page.rows]
        if page.next_cursor is None:
            return ids
        cursor = page.next_cursor


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    priorities=st.lists(st.sampled_from([-1.5, 0.0, 0.0, 2.0, 1e9]), max_size=9),
    size=st.integers(1, 4),
    stretch=st.integers(1, 9),
)
def test_pages_of_any_size_list_every_row_once_in_order(
    priorities: list[float], size: int, stretch: int
) -> None:
    project = make_project()
    for place, priority in enumerate(priorities):
        make_comparison(project, external_id=str(place), priority=priority)
    by_queue = sorted(range(len(priorities)), key=lambda place: (-priorities[place], place))
    assert walked(project, "queue", size) == [str(place) for place in by_queue]
    assert walked(project, "oldest", size) == [str(place) for place in range(len(priorities))]
    assert walked(project, "newest", size) == walked(project, "oldest", size)[::-1]
    with patch("annotate.selectors.explorer.STRETCH", stretch):
        for order in ("queue", "oldest", "newest"):
            assert walked(project, order, size, is_few=True) == walked(project, order, size)


def test_disagreement_sorts_what_has_one_and_leaves_out_what_has_none(project: Project) -> None:
    labelled(project, "third", [A, A, B], [])
    labelled(project, "none", [A], [])
    labelled(project, "all", [A, B], [])
    labelled(project, "agreed", [A, A], [])
    figures_refresh(project=project)
    assert walked(project, "disagreement", 2) == ["all", "third", "agreed"]
    assert walked(project, "disagreement", 2, is_few=True) == ["all", "third", "agreed"]


def test_a_slice_is_sorted_unless_it_is_large(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_comparison(project, metadata={"topic": "eggs"})
    figures_refresh(project=project)
    assert is_sparse(project=project, filters=Filters(slice="topic=eggs"))
    assert not is_sparse(project=project, filters=Filters(state="open"))
    monkeypatch.setattr("annotate.selectors.explorer.SORTED_UP_TO", 0)
    assert not is_sparse(project=project, filters=Filters(slice="topic=eggs"))


def test_rows_that_come_meanwhile_move_no_page(project: Project) -> None:
    for name in "abc":
        make_comparison(project, external_id=name)
    rows = explored(project=project, filters=Filters())
    first = key_page(found=rows, order="newest", size=2)
    make_comparison(project, external_id="d")
    second = key_page(found=rows, order="newest", cursor=first.next_cursor or "", size=2)
    assert [row.external_id for row in [*first.rows, *second.rows]] == ["c", "b", "a"]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    "cursor", ["x", "WyJuZXdlc3QiLCJhIiwxXQ", "W10", "bnVsbA", "é", "WyJvbGRlc3QiLDEsMV0" * 3]
)
def test_a_cursor_that_is_none_of_ours_is_refused(
    project: Project, order: str, cursor: str
) -> None:
    with pytest.raises(ApplicationError, match="cursor"):
        key_page(found=Comparison.objects.all(), order=order, cursor=cursor)


def test_few_rows_are_counted_and_many_estimated(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(5):
        make_comparison(project)
    rows = explored(project=project, filters=Filters())
    assert (count_about(rows).n, count_about(rows).is_exact) == (5, True)
    monkeypatch.setattr("annotate.selectors.explorer.COUNTED_UP_TO", 4)
    estimate = count_about(rows)
    assert not estimate.is_exact
    assert estimate.n >= 4

"""What comes next is rendered before anybody asks for it, and looks as if it were not."""

from collections.abc import Sequence
from datetime import timedelta

import pytest
from django.conf import settings
from django.utils import timezone

from annotate.api.labelling import _task
from annotate.models import Annotator, Assignment, Project, QueuePlace, RenderedComparison
from annotate.services import rendered
from annotate.services.assignments import assignment_close, assignment_lease_next
from annotate.services.rendered import render_ahead
from tests.factories import make_annotator, make_comparison, make_project

pytestmark = pytest.mark.django_db
TEXTS = ("# One\n\n- **a** $x^2$", "<script>alert(1)</script>", "| a |\n|---|\n| b |")


@pytest.fixture
def project() -> Project:
    return make_project(protocol={"overlap": 1, "kind": "ranking"})


@pytest.fixture
def ben(project: Project) -> Annotator:
    """Somebody who has labelled once and gave the next one back."""
    annotator = make_annotator(project, name="ben")
    make_comparison(project, texts=TEXTS)
    give_back(lease(annotator))
    return annotator


def lease(annotator: Annotator, exclude: Sequence[Assignment] = ()) -> Assignment:
    found = assignment_lease_next(annotator=annotator, exclude=[held.public_id for held in exclude])
    assert found is not None
    return found


def give_back(assignment: Assignment) -> None:
    assignment_close(assignment=assignment, state=Assignment.State.RETURNED)


def is_brought(assignment: Assignment) -> bool:
    return assignment.rendered_ahead is not None  # type: ignore[attr-defined]


def test_a_lease_brings_the_html_that_it_would_have_been_rendered_to(ben: Annotator) -> None:
    plain = lease(ben)
    expected = _task(plain, ben)["comparison"]
    give_back(plain)
    assert render_ahead() == 1
    found = lease(ben)
    # The order is drawn with every lease.
    found.shown_order = plain.shown_order
    assert (is_brought(plain), is_brought(found)) == (False, True)
    assert _task(found, ben)["comparison"] == expected


def test_responses_come_in_the_order_in_which_they_are_shown(ben: Annotator) -> None:
    render_ahead()
    found = lease(ben)
    found.shown_order = [2, 0, 1]
    shown = _task(found, ben)["comparison"]["responses"]
    assert [response["text"] for response in shown] == [TEXTS[2], TEXTS[0], TEXTS[1]]
    tags = ["<table" in response["html"] for response in shown]
    assert tags == [True, False, False]


def test_html_of_another_renderer_is_not_shown_and_made_anew(ben: Annotator) -> None:
    render_ahead()
    RenderedComparison.objects.update(renderer="older", html={"turns": ["!"], "responses": []})
    first = lease(ben)
    assert not is_brought(first)
    give_back(first)
    assert render_ahead() == 1
    assert is_brought(lease(ben))


def test_nothing_is_rendered_for_those_who_have_left(ben: Annotator) -> None:
    QueuePlace.objects.update(asked_at=timezone.now() - timedelta(minutes=11))
    assert render_ahead() == 0
    give_back(lease(ben))
    assert render_ahead() == 1


def test_what_is_rendered_is_not_rendered_again(ben: Annotator) -> None:
    assert (render_ahead(), render_ahead()) == (1, 0)


def test_what_nobody_will_ask_for_any_more_is_forgotten(ben: Annotator) -> None:
    render_ahead()
    lease(ben)
    render_ahead()
    assert not RenderedComparison.objects.exists()


@pytest.mark.parametrize(("skills", "expected"), [([], [0, 1]), (["law"], [0, 1, 3, 4])])
def test_each_skill_is_looked_ahead_from_the_own_place(
    project: Project, monkeypatch: pytest.MonkeyPatch, skills: list[str], expected: list[int]
) -> None:
    monkeypatch.setattr(rendered, "AHEAD", 2)
    dora = make_annotator(project, name="dora", skills=skills)
    asked = ["", "", "", "law", "law", "law"]
    rows = [make_comparison(project, skill=skill, wanted_labels=2) for skill in asked]
    give_back(lease(dora))
    render_ahead()
    made = RenderedComparison.objects.order_by("pk").values_list("comparison_id", flat=True)
    assert list(made) == [rows[place].pk for place in expected]


def test_beat_calls_for_it() -> None:
    tasks = {entry["task"]: entry["schedule"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert tasks["annotate.tasks.comparisons_render"] == 5

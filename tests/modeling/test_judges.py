"""Judges: rows for imported ones, new endpoints, figures against people."""

from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.core.cache import cache

from annotate.errors import ApplicationError
from annotate.models import Annotator, Project
from annotate.services.imports import comparisons_import
from modeling.models import Judge
from modeling.selectors import (
    Figure,
    JudgeFigures,
    judge_accuracy,
    judge_price_usd,
    modeling_summary,
)
from modeling.services.judges import (
    judge_create,
    judge_preview,
    judges_ensure,
    judges_measure,
    judges_measure_stale,
    judges_refresh,
)
from tests.factories import make_annotator, make_comparison, make_preference, make_project

pytestmark = pytest.mark.django_db
FIRST, SECOND, TIE = (0, 1), (1, 0), (0, 0)


@pytest.fixture
def project() -> Project:
    """Five comparisons by three humans and a judge; one is a split without majority."""
    project = make_project()
    humans = [make_annotator(project, name=f"h{i}") for i in range(3)]
    judge = make_annotator(project, name="gpt", kind="judge")
    rows = [
        ((FIRST, FIRST, SECOND), FIRST),
        ((SECOND, SECOND, SECOND), FIRST),
        ((TIE, TIE, FIRST), TIE),
        ((TIE, TIE, FIRST), SECOND),
        ((FIRST, SECOND, TIE), FIRST),
    ]
    for votes, verdict in rows:
        comparison = make_comparison(project)
        for human, vote in zip(humans, votes, strict=True):
            make_preference(comparison, human, vote)
        make_preference(comparison, judge, verdict)
    return project


def measured(project: Project, name: str = "gpt") -> JudgeFigures:
    """The figures of one judge, freshly taken."""
    judges_measure(project=project)
    return next(row for row in judge_accuracy(project) if row.name == name)


def test_an_imported_judge_gets_its_row_once(project: Project) -> None:
    assert judges_ensure(project=project) == 1
    assert judges_ensure(project=project) == 0
    assert Judge.objects.get().provider == Judge.Provider.RECORDED


def test_accuracy_is_against_the_strict_majority_and_counts_ties(project: Project) -> None:
    figures = measured(project)
    # right, wrong, right, wrong; the split comparison has no truth
    assert figures.accuracy is not None
    assert (figures.accuracy.estimate, figures.accuracy.n) == (0.5, 4)
    assert figures.n_labels == 5


def test_without_ties_only_comparisons_that_both_decide_count(project: Project) -> None:
    figures = measured(project)
    assert figures.accuracy_without_ties is not None
    assert (figures.accuracy_without_ties.estimate, figures.accuracy_without_ties.n) == (0.5, 2)


def test_kappa_is_cohens(project: Project) -> None:
    figures = measured(project)
    # Judge A A T B, people A B T T: 0.5 observed, (2*1 + 1*2 + 1*1) / 16 = 0.3125 by chance.
    assert figures.kappa is not None
    assert figures.kappa.estimate == pytest.approx((0.5 - 0.3125) / (1 - 0.3125), abs=1e-6)


def test_a_judge_without_people_has_labels_and_no_accuracy() -> None:
    project = make_project()
    make_preference(make_comparison(project), make_annotator(project, kind="judge", name="gpt"))
    figures = measured(project)
    assert (figures.n_labels, figures.accuracy) == (1, None)


@pytest.mark.parametrize(
    ("extra", "first_position", "conflict"),
    [
        ({}, None, None),
        ({"order_swapped": False}, 1.0, None),
        ({"order_swapped": True}, 0.0, None),
        ({"order_inconsistent": True}, None, 1.0),
        ({"protocol": "both-orders"}, None, 0.0),
        (
            {
                "orders": [
                    {"swapped": False, "verdict": "first", "strength": 1},
                    {"swapped": True, "verdict": "first", "strength": 1},
                ],
                "order_inconsistent": False,
            },
            0.5,
            0.0,
        ),
        (
            {
                "orders": [
                    {"swapped": False, "verdict": "first", "strength": 1},
                    {"swapped": True, "verdict": "second", "strength": 1},
                ],
                "order_inconsistent": True,
            },
            1.0,
            1.0,
        ),
    ],
)
def test_position_figures_come_from_what_is_known_of_the_orders(
    extra: dict[str, Any], first_position: float | None, conflict: float | None
) -> None:
    project = make_project()
    judge = make_annotator(project, kind="judge", name="gpt")
    make_preference(make_comparison(project), judge, FIRST, extra=extra)
    figures = measured(project)
    found = [figure and figure.estimate for figure in (figures.first_position, figures.conflict)]
    assert found == [first_position, conflict]


def test_the_most_accurate_judge_comes_first(project: Project) -> None:
    better = make_annotator(project, name="better", kind="judge")
    comparison = project.comparisons.order_by("pk").first()
    assert comparison is not None
    make_preference(comparison, better, FIRST)
    judges_measure(project=project)
    assert [row.name for row in judge_accuracy(project)] == ["better", "gpt"]
    summary = modeling_summary(project=project)
    assert (summary.best_judge, summary.n_judges, summary.n_judge_labels) == ("better", 2, 6)


def test_a_page_asks_for_a_measurement_once(
    project: Project, redis: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with patch("modeling.tasks.judges_measure.delay") as delay:
        with django_capture_on_commit_callbacks(execute=True):
            assert judges_refresh(project=project)
            assert judges_refresh(project=project)
        delay.assert_called_once_with(project.pk)


def test_measured_judges_are_left_alone_until_labels_grow(project: Project, redis: Any) -> None:
    judges_measure(project=project)
    assert not judges_refresh(project=project)
    assert judges_measure_stale() == 0
    make_preference(make_comparison(project), make_annotator(project))
    make_preference(make_comparison(project), make_annotator(project))
    assert judges_measure_stale() == 1
    assert judges_measure_stale() == 0


def test_a_project_without_judges_is_never_stale(redis: Any) -> None:
    project = make_project()
    assert not judges_refresh(project=project)
    assert modeling_summary(project=project).best_judge_accuracy is None


def test_the_end_of_a_measurement_is_seen_by_the_page(project: Project, redis: Any) -> None:
    cache.set(f"judges-measuring:{project.pk}", "queued")
    judges_measure(project=project)
    assert not judges_refresh(project=project)


def test_a_judge_is_created_with_an_annotator_of_its_own() -> None:
    project = make_project()
    judge = judge_create(
        project=project, user=None, name="local", base_url="http://localhost:1/v1", model_name="m"
    )
    assert judge.annotator.kind == Annotator.Kind.JUDGE
    assert project.audit_events.get().action == "judge.create"


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"name": "gpt"}, "name"),
        ({"base_url": "http://10.0.0.1/v1"}, "base_url"),
        ({"base_url": "ftp://localhost/v1"}, "base_url"),
        ({"api_key_env": "SECRET_KEY"}, "api_key_env"),
        ({"model_name": ""}, "__all__"),
        ({"input_usd_per_million_tokens": -1}, "input_usd_per_million_tokens"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_stored(
    project: Project, changed: dict[str, Any], field: str
) -> None:
    values = {"name": "new", "base_url": "http://localhost:1/v1", "model_name": "m", **changed}
    with pytest.raises(ApplicationError) as refusal:
        judge_create(project=project, user=None, **values)
    assert refusal.value.field == field
    assert not Judge.objects.exists()
    assert not Annotator.objects.filter(name="new").exists()


def test_the_preview_shows_both_orders_word_by_word() -> None:
    project = make_project()
    comparison = make_comparison(project, texts=["alpha", "beta"])
    judge = Judge(annotator=make_annotator(project, kind="judge"), model_name="m")
    first, second = judge_preview(judge=judge, comparison=comparison)
    shown = [order["messages"][1]["content"] for order in (first, second)]
    assert shown[0].index("alpha") < shown[0].index("beta")
    assert shown[1].index("beta") < shown[1].index("alpha")


def test_a_judge_without_runs_costs_what_its_owner_stated() -> None:
    annotator = make_annotator(make_project(), kind="judge")
    assert str(judge_price_usd(annotator)) == "0.002000"
    Judge.objects.create(annotator=annotator, price_per_label_usd="0.01")
    assert float(judge_price_usd(annotator)) == 0.01


def test_a_figure_without_an_estimate_is_none() -> None:
    assert Figure.read({"estimate": None}) is None
    assert Figure.read(None) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "judge", "accuracy", "n"),
    [
        ("pandalm.jsonl", "gpt-3.5-turbo", 0.716, 974),
        ("pandalm.jsonl", "pandalm-7b", 0.668, 999),
    ],
)
def test_recorded_judges_reproduce_their_published_accuracy(
    real_data: Path, file: str, judge: str, accuracy: float, n: int
) -> None:
    project = make_project()
    comparisons_import(project=project, path=real_data / file)
    figures = measured(project, judge)
    assert figures.accuracy is not None
    assert round(figures.accuracy.estimate, 3) == accuracy
    assert figures.accuracy.n == n

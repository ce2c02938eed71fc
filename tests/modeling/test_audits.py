"""Label audits and data filters: what owners decide, and how it is taken back."""

from typing import Any

import pytest

from annotate.errors import ApplicationError, ConflictError
from annotate.models import AuditEvent, Comparison, JobState, Project
from annotate.services.assignments import assignment_lease_next
from modeling.auditing import AuditRow
from modeling.models import AuditFinding, AuditRun, FilterRun
from modeling.reward_forms import rules_in_words
from modeling.services import audits, filters
from modeling.services.curation import curation_of, parameters_shown
from tests.factories import (
    make_annotator,
    make_comparison,
    make_preference,
    make_project,
    make_user,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("media")]


@pytest.fixture
def project() -> Project:
    """Three comparisons, each labelled once by a person."""
    project = make_project(slug="audited")
    human = make_annotator(project, user=make_user("first"))
    for _ in range(3):
        comparison = make_comparison(project, wanted_labels=1)
        make_preference(comparison, human)
    Comparison.objects.update(open_slots=0)
    return project


def row(comparison: Comparison, finding: str, **values: Any) -> AuditRow:
    """What an audit says of a comparison."""
    fields = {
        "probability": 0.1, "strength": -2.0, "spread": 0.3, "label": 1.0, "n_labels": 1,
        "soft_target": 0.4, "p_wrong": 0.8,
    }  # fmt: skip
    return AuditRow(
        comparison_id=comparison.pk,
        prompt_id=comparison.prompt_id,
        finding=finding,
        **{**fields, **values},
    )


@pytest.fixture
def findings(project: Project, monkeypatch: pytest.MonkeyPatch) -> list[AuditFinding]:
    """A finished audit: one wrong, one ambiguous, one strong label."""
    kinds = ("wrong", "ambiguous", "strong")
    comparisons = project.comparisons.order_by("pk")
    rows = [row(found, kind) for found, kind in zip(comparisons, kinds, strict=True)]
    monkeypatch.setattr("modeling.auditing.audit_rows", lambda **_options: rows)
    run = audits.audit_run_start(project=project, user=None)
    audits.audit_run_execute(run_id=run.pk)
    return list(AuditFinding.objects.order_by("rank"))


def slots(project: Project) -> list[tuple[int, int]]:
    """Wanted labels and open slots of every comparison."""
    return list(project.comparisons.order_by("pk").values_list("wanted_labels", "open_slots"))


def decide(finding: AuditFinding, decision: str) -> int:
    """Decide one finding."""
    return audits.findings_decide(findings=[finding], decision=decision, user=None)


def test_an_audit_stores_every_label_most_suspicious_first(findings: list[AuditFinding]) -> None:
    run = AuditRun.objects.get()
    assert run.state == JobState.DONE
    assert run.message == "3 labelled comparisons: 1 suspected wrong, 1 ambiguous."
    assert [row.finding for row in findings] == ["wrong", "ambiguous", "strong"]


def test_a_suspected_wrong_label_goes_to_a_second_person_only(
    project: Project, findings: list[AuditFinding]
) -> None:
    assert decide(findings[0], "sent") == 1
    assert slots(project) == [(2, 1), (1, 0), (1, 0)]
    first = project.annotators.get()
    second = make_annotator(project, user=make_user("second"))
    assert assignment_lease_next(annotator=first) is None
    given = assignment_lease_next(annotator=second)
    assert given is not None
    assert given.comparison_id == findings[0].comparison_id


def test_sending_is_taken_back_while_nobody_has_it(
    project: Project, findings: list[AuditFinding]
) -> None:
    before = slots(project)
    decide(findings[0], "sent")
    assert audits.findings_reopen(findings=[findings[0]], user=None) == 1
    assert slots(project) == before
    findings[0].refresh_from_db()
    assert (findings[0].decision, findings[0].decided_at) == ("open", None)


def test_a_second_label_that_was_given_stays_wanted(
    project: Project, findings: list[AuditFinding]
) -> None:
    decide(findings[0], "sent")
    comparison = project.comparisons.get(pk=findings[0].comparison_id)
    make_preference(comparison, make_annotator(project))
    Comparison.objects.filter(pk=comparison.pk).update(open_slots=0)
    audits.findings_reopen(findings=[findings[0]], user=None)
    assert slots(project)[0] == (2, 0)


def test_a_decision_is_made_once(project: Project, findings: list[AuditFinding]) -> None:
    assert [decide(findings[0], "sent"), decide(findings[0], "sent")] == [1, 0]
    assert slots(project)[0] == (2, 1)


def test_an_ambiguous_label_is_soft_in_the_next_training(
    project: Project, findings: list[AuditFinding]
) -> None:
    decide(findings[1], "softened")
    soft = {str(findings[1].comparison_id): 0.4}
    assert curation_of(project=project) == {"soft": soft}
    audits.findings_reopen(findings=[findings[1]], user=None)
    assert curation_of(project=project) == {}


def test_decisions_are_on_the_audit_trail(findings: list[AuditFinding]) -> None:
    decide(findings[2], "kept")
    event = AuditEvent.objects.get(action="audit.kept")
    assert event.data == {"comparison_ids": [findings[2].comparison_id]}


def test_an_unknown_decision_is_refused(findings: list[AuditFinding]) -> None:
    with pytest.raises(ApplicationError, match="'burn'"):
        decide(findings[0], "burn")


def test_one_audit_at_a_time(project: Project) -> None:
    audits.audit_run_start(project=project, user=None)
    with pytest.raises(ConflictError, match="under way"):
        audits.audit_run_start(project=project, user=None)


def worked_out(project: Project, **rules: Any) -> FilterRun:
    """Filters, worked out in this process."""
    run = filters.filter_run_start(project=project, user=None, rules=rules)
    filters.filter_run_execute(run_id=run.pk)
    run.refresh_from_db()
    return run


def test_filters_leave_out_and_give_back(project: Project, findings: list[AuditFinding]) -> None:
    run = worked_out(project, drop_wrong=True)
    wrong = findings[0].comparison_id
    assert (run.is_active, run.reasons) == (True, {str(wrong): "suspected_wrong"})
    assert curation_of(project=project) == {"filtered": [wrong]}
    filters.filter_run_switch(run=run, is_active=False, user=None)
    assert curation_of(project=project) == {}


def test_near_identical_responses_are_found(project: Project) -> None:
    told = "Two models came to the very same words on this question."
    twins = make_comparison(project, texts=[told, told])
    run = worked_out(project, near_identical=0.9)
    assert run.reasons == {str(twins.pk): "near_identical"}
    assert filters.reason_counts(run) == [("Near-identical responses", 1)]


def test_only_one_set_of_filters_is_on(project: Project, findings: list[AuditFinding]) -> None:
    first, second = worked_out(project, drop_wrong=True), worked_out(project, duplicates=True)
    first.refresh_from_db()
    assert (first.is_active, second.is_active) == (False, True)


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ({}, "at least one filter"),
        ({"near_identical": 0.2}, "between 0.5 and 1"),
        ({"gap_low": 2.0, "gap_high": 1.0}, "lower end"),
        ({"colour": True}, "Unknown filter 'colour'"),
        ({"drop_wrong": True}, "Run one first"),
    ],
)
def test_filters_that_make_no_sense_are_refused(
    project: Project, rules: dict[str, Any], says: str
) -> None:
    with pytest.raises(ApplicationError, match=says):
        filters.filter_run_start(project=project, user=None, rules=rules)


def test_a_run_shows_how_much_was_curated_in_place_of_lists() -> None:
    parameters = {"encoder": "tfidf", "filtered": [1, 2], "soft": {"3": 0.5}}
    assert parameters_shown(parameters) == {"encoder": "tfidf", "n_filtered": 2, "n_soft": 1}


def test_filters_are_told_by_the_labels_of_their_form() -> None:
    rules = {"near_identical": 0.95, "duplicates": True, "gap_low": 0.5}
    assert rules_in_words(rules) == (
        "Near-identical responses, from similarity 0.95; "
        "Duplicates of earlier comparisons; Reward gap at least 0.5"
    )

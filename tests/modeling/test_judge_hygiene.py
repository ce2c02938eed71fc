"""Hygiene: personal data, model families, leakage, and who gets what a judge must not have."""

from decimal import Decimal
from typing import Any

import pytest

from annotate.errors import ApplicationError
from annotate.models import AuditEvent, Comparison, Preference, Project
from modeling.judge_leakage import measure_leakage
from modeling.judges.families import family_of, related_sources
from modeling.judges.privacy import redacted, terms_read
from modeling.models import Judge, JudgeOutcome
from modeling.services.judge_families import model_family_remove, model_family_set
from modeling.services.judge_runs import judge_run_execute, judge_run_start
from modeling.services.judges import judge_create, judge_update
from tests.factories import make_annotator, make_comparison, make_preference, make_project
from tests.fake_endpoint import FakeEndpoint


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Write to jane.doe@example.com now.", "Write to [EMAIL_1] now."),
        ("Call +1 (415) 555-2671.", "Call [PHONE_1]."),
        ("Card 4111 1111 1111 1111.", "Card [CREDIT_CARD_1]."),
        ("SSN 536-90-4399.", "SSN [SSN_1]."),
        ("IBAN DE89 3704 0044 0532 0130 00.", "IBAN [IBAN_1]."),
        ("From 203.0.113.9.", "From [IP_ADDRESS_1]."),
        # Fails the check digit; a quantity; a time; a decimal.
        ("1234567812345678", "1234567812345678"),
        ("1600000000 seconds, pi is 3.1415926535", "1600000000 seconds, pi is 3.1415926535"),
        ("In 2019-2020 there were 12345 people.", "In 2019-2020 there were 12345 people."),
    ],
)
def test_personal_data_is_replaced_and_numbers_are_left(text: str, clean: str) -> None:
    assert redacted([text])[0] == [clean]


def test_one_value_has_one_placeholder_in_all_texts() -> None:
    texts, kinds = redacted(["a@b.org, c@d.org", "only c@d.org", ""])
    assert texts == ["[EMAIL_1], [EMAIL_2]", "only [EMAIL_2]", ""]
    assert kinds == ["EMAIL"]


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Ask Jane Doe, or JANE doe.", "Ask [TERM_1], or [TERM_1]."),
        ("Jane said it.", "[TERM_1] said it."),
        ("Jane\nDoe", "[TERM_1]"),
        ("Janet and Doering stay.", "Janet and Doering stay."),
        ("Müller's and Acme (UK).", "[TERM_1]'s and [TERM_2]."),
        ("jane.doe@example.com is hers", "[EMAIL_1] is hers"),
        ("ABC is none.", "ABC is none."),
    ],
)
def test_listed_names_are_replaced_as_whole_words(text: str, clean: str) -> None:
    terms = ["Jane", "Jane Doe", "Müller", "Acme (UK)", "A.c"]
    assert redacted([text], terms)[0] == [clean]


def test_a_name_that_nobody_listed_is_not_found() -> None:
    assert redacted(["Ask John Smith."]) == (["Ask John Smith."], [])


def test_terms_are_read_one_a_line_and_once() -> None:
    assert terms_read(" Jane  Doe \n\njane doe\nAcme\n") == ["jane doe", "Acme"]


@pytest.mark.django_db
@pytest.mark.parametrize("terms", [[""], ["x" * 81], ["a"] * 501, "Jane", [3]])
def test_terms_that_cannot_be_are_refused(endpoint: FakeEndpoint, terms: Any) -> None:
    with pytest.raises(ApplicationError) as refusal:
        judge_create(
            project=make_project(), user=None, name="j", base_url=endpoint.base_url,
            model_name="m", pii_terms=terms,
        )  # fmt: skip
    assert refusal.value.field == "pii_terms"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("profile", "n_labels", "n_requests"),
    [(Judge.PiiProfile.REPLACE, 1, 2), (Judge.PiiProfile.BLOCK, 0, 0)],
)
def test_a_listed_name_is_replaced_or_keeps_the_comparison_here(
    endpoint: FakeEndpoint, profile: str, n_labels: int, n_requests: int
) -> None:
    project = make_project(budget_usd=Decimal(10))
    make_comparison(project, prompt="Who is Jane Doe?", texts=["Jane.", "Nobody."])
    judge = judge_create(
        project=project, user=None, name="j", base_url=endpoint.base_url, model_name="m",
        pii_profile=profile, pii_terms=["Jane Doe", "Jane"], conflict_policy="tie",
    )  # fmt: skip
    run = judge_run_start(judge=judge, user=None)
    judge_run_execute(run_id=run.pk)
    labels = Preference.objects.filter(annotator=judge.annotator)
    assert (labels.count(), len(endpoint.requests)) == (n_labels, n_requests)
    assert not any("Jane" in str(request["messages"][1]) for request in endpoint.requests)


@pytest.mark.parametrize(
    ("name", "family"),
    [
        ("gpt-4o-2024-08-06", "openai"),
        ("openai/gpt-4o", "openai"),
        ("meta-llama/Llama-3.1-8B-Instruct", "llama"),
        ("Claude-3-opus", "anthropic"),
        ("text-davinci-003", "openai"),
        ("our-chat-7b", "llama"),
        ("gpt-house", "house"),
        ("model-one", ""),
        ("", ""),
    ],
)
def test_a_family_is_read_from_the_name_and_the_owner_goes_first(name: str, family: str) -> None:
    assert family_of(name, {"our-chat-": "llama", "gpt-house": "house"}) == family


def test_related_sources_are_those_of_the_judges_family() -> None:
    models = ["gpt-4", "claude-2", "gpt-3.5-turbo"]
    assert related_sources(models, "openai", {}) == ["gpt-3.5-turbo", "gpt-4"]
    assert related_sources(models, "", {}) == []


@pytest.fixture
def project(db: None) -> Project:
    """Three comparisons: of the judge's own family, with an address in it, and a plain one."""
    project = make_project(budget_usd=Decimal(10))
    routed: dict[str, Any] = {"wanted_labels": 0}
    make_comparison(project, models=["fakes-large", "other"], external_id="own", **routed)
    make_comparison(
        project, texts=["good: a@b.org", "bad"], models=["x", "y"], external_id="pii", **routed
    )
    make_comparison(project, models=["x", "y"], external_id="plain", **routed)
    model_family_set(project=project, user=None, prefix="fake", family="fakes")
    return project


@pytest.fixture
def judge(project: Project, endpoint: FakeEndpoint) -> Judge:
    """A judge of the family "fakes"."""
    return judge_create(
        project=project, user=None, name="fake", base_url=endpoint.base_url,
        model_name="fake-1", conflict_policy=Judge.ConflictPolicy.TIE,
    )  # fmt: skip


def executed(judge: Judge) -> dict[str, str]:
    """Run a judge over everything; return the kind of outcome by comparison."""
    run = judge_run_start(judge=judge, user=None)
    judge_run_execute(run_id=run.pk)
    rows = JudgeOutcome.objects.filter(run=run)
    return dict(rows.values_list("comparison__external_id", "kind"))


def sent(endpoint: FakeEndpoint) -> str:
    """Everything that left the house."""
    return "".join(request["messages"][1]["content"] for request in endpoint.requests)


def to_people(project: Project) -> set[str]:
    """Comparisons that wait for a person."""
    waiting = Comparison.objects.filter(project=project, open_slots=1)
    return set(waiting.values_list("external_id", flat=True))


def test_a_related_comparison_goes_to_people_by_default(
    judge: Judge, project: Project, endpoint: FakeEndpoint
) -> None:
    outcomes = executed(judge)
    assert outcomes == {"own": "related", "pii": "labelled", "plain": "labelled"}
    assert to_people(project) == {"own"}
    assert len(endpoint.requests) == 4


def test_allowing_its_own_family_is_logged(judge: Judge) -> None:
    judge_update(judge=judge, user=None, allow_related=True)
    assert executed(judge)["own"] == "labelled"
    event = AuditEvent.objects.get(action="judge.allow_related")
    assert event.data == {"allowed": True, "family": ""}


def test_taking_an_addition_back_ends_the_relation(judge: Judge, project: Project) -> None:
    model_family_remove(row=project.model_families.get(), user=None)
    assert executed(judge)["own"] == "labelled"


def test_personal_data_is_replaced_before_it_leaves(judge: Judge, endpoint: FakeEndpoint) -> None:
    judge_update(judge=judge, user=None, pii_profile=Judge.PiiProfile.REPLACE)
    assert executed(judge)["pii"] == "labelled"
    assert "a@b.org" not in sent(endpoint)
    assert "good: [EMAIL_1]" in sent(endpoint)


def test_blocked_comparisons_are_not_sent_and_go_to_people(
    judge: Judge, project: Project, endpoint: FakeEndpoint
) -> None:
    judge_update(judge=judge, user=None, pii_profile=Judge.PiiProfile.BLOCK)
    assert executed(judge)["pii"] == "blocked"
    assert to_people(project) == {"own", "pii"}
    assert "good" not in sent(endpoint)


def test_leakage_compares_the_judge_with_people_on_its_own_familys_comparisons(
    judge: Judge, project: Project
) -> None:
    person = make_annotator(project)
    for number in range(4):
        place = number % 2
        models = ["fakes-a", "other"] if place == 0 else ["other", "fakes-a"]
        comparison = make_comparison(project, models=models)
        own = (0, 1) if place == 0 else (1, 0)
        # The judge always takes its own; people do so once in four.
        make_preference(comparison, judge.annotator, own, source=Preference.Source.IMPORT)
        make_preference(comparison, person, own if number == 0 else own[::-1])
    figures = measure_leakage(project)[judge.annotator_id]
    assert figures["family"] == "fakes"
    assert (figures["lead"]["estimate"], figures["lead"]["n"]) == (0.75, 4)

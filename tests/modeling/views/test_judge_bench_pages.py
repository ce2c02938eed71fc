"""The judge bench in a browser's hands: list, bench, gate, panels, alarms."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from annotate.models import Project
from modeling.models import Judge, JudgeAlarm, JudgeCalibration, JudgeGate, JudgePanel
from tests.factories import make_annotator, make_member, make_project, make_user, qualify_judge

pytestmark = pytest.mark.django_db

PAGES = ["", "bench/", "gate/", "panels/new/"]


def figure(estimate: float) -> dict[str, float]:
    low, high = estimate - 0.05, estimate + 0.05
    return {"estimate": estimate, "low": low, "high": high, "n": 100, "n_prompts": 50}


FIGURES: dict[str, Any] = {
    "ece": figure(0.06),
    "order_consistency": figure(0.9),
    "parse_failures": figure(0.05),
    "latency_ms": {"median": 420.0, "p95": 1800.0, "n": 200},
    "tokens_per_label": 1234.0,
    "usd_per_label": 0.0021,
    "slices": [
        {"name": "topic=law", "n": 40, "accuracy": figure(0.55), "kappa": figure(0.1)},
        {"name": "topic=art", "n": 60, "accuracy": figure(0.95), "kappa": figure(0.9)},
    ],
    "reliability": [{"predicted": 0.8, **figure(0.75)}],
}


@pytest.fixture
def project() -> Project:
    return make_project(owner=make_user("ada"), slug="p")


@pytest.fixture
def judge(project: Project) -> Judge:
    judge = qualify_judge(make_annotator(project, kind="judge", name="judy"), **FIGURES)
    judge.provider, judge.base_url, judge.model_name = "openai", "http://localhost/v1", "m"
    judge.save()
    return judge


def page_of(path: str, username: str = "ada") -> str:
    client = Client()
    client.force_login(User.objects.get(username=username))
    response = client.get(f"/projects/p/judges/{path}")
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def posted(path: str, data: dict[str, Any] | None = None) -> Any:
    client = Client()
    client.force_login(User.objects.get(username="ada"))
    return client.post(f"/projects/p/judges/{path}", data or {})


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_for_owners(project: Project, judge: Judge, path: str) -> None:
    make_member(project, make_user("ben"))
    make_user("eve")
    for name, status in (("ben", 403), ("eve", 404)):
        client = Client()
        client.force_login(User.objects.get(username=name))
        assert client.get(f"/projects/p/judges/{path}").status_code == status


@pytest.mark.parametrize("path", PAGES)
def test_pages_open_without_a_judge(project: Project, path: str) -> None:
    page_of(path)


def test_the_list_says_who_is_qualified_and_how_well_calibrated(judge: Judge) -> None:
    page = page_of("")
    assert "Qualified" in page
    assert "0.060" in page
    assert "$0.0021 a label" in page


def test_the_bench_shows_slices_latency_tokens_and_price(judge: Judge) -> None:
    page = page_of("bench/")
    for told in ("topic: law", "0.550", "420 ms", "95th 1800 ms", "1,234", "$0.0021"):
        assert told in page


def test_a_judge_who_has_not_met_a_slice_has_a_dash_there(project: Project, judge: Judge) -> None:
    newcomer = make_annotator(project, kind="judge", name="newcomer")
    qualify_judge(newcomer, **FIGURES | {"slices": []})
    row = page_of("bench/").split("topic: law</th>")[1].split("</tr>")[0]
    assert "0.550<br>" in row
    assert row.strip().endswith('<td class="num">\N{EN DASH}</td>')


def test_the_judges_page_shows_its_map_and_reliability(judge: Judge) -> None:
    state = {
        "source": "signals", "method": "beta",
        "held_out_log_loss": {"stated+identity": 0.61, "signals+beta": 0.52},
    }  # fmt: skip
    JudgeCalibration.objects.create(judge=judge, number=3, state=state, n=250, n_prompts=90)
    page = page_of(f"{judge.pk}/")
    assert "Version 3 reads strength, own probability, orders and the other judges" in page
    assert "with a beta map" in page
    assert "All signals, with a beta map (in use)" in page
    assert 'id="reliability-chart"' in page


def test_a_judge_whose_map_nothing_has_taught_yet_says_so(judge: Judge) -> None:
    state = {"source": "stated", "method": "identity", "held_out_log_loss": {}}
    JudgeCalibration.objects.create(judge=judge, number=1, state=state, n=12, n_prompts=5)
    assert "counts by the table: slightly 0.65" in page_of(f"{judge.pk}/")


def test_a_panels_page_shows_its_weights(project: Project, judge: Judge) -> None:
    panel = Judge.objects.create(
        annotator=make_annotator(project, kind="judge", name="pan"), provider="panel"
    )
    report = {
        "names": ["judy", "max"], "method": "stacked", "weights": [1.5, -0.4],
        "discounts": [1.0, 1.2], "n_gold": 321, "best_member": "judy", "above_best": figure(0.02),
    }  # fmt: skip
    JudgePanel.objects.create(judge=panel, report=report).members.set([judge])
    page = page_of(f"{panel.pk}/")
    for told in ("-0.40", "321 human labels", "+0.020", "judy"):
        assert told in page


def test_the_gate_is_changed_by_its_form(project: Project, judge: Judge) -> None:
    response = posted("gate/", {"min_n": 500, "min_kappa": "0.2"})
    assert response["Location"] == "/projects/p/judges/"
    gate = JudgeGate.objects.get()
    assert (gate.min_n, gate.min_kappa, gate.max_ece, gate.blocks_on_alarm) == (
        500, 0.2, None, False,
    )  # fmt: skip
    assert "the gate asks for 500" in page_of(f"{judge.pk}/")


@pytest.mark.parametrize(("field", "value"), [("min_accuracy", "1.5"), ("min_n", "x")])
def test_a_wrong_bound_comes_back_beside_it(project: Project, field: str, value: str) -> None:
    response = posted("gate/", {"min_n": 30, field: value})
    assert response.status_code == 422
    assert f'id="id_{field}_error"' in response.content.decode()
    assert not JudgeGate.objects.exists()


def test_a_panel_is_made_of_two_judges(project: Project, judge: Judge) -> None:
    other = qualify_judge(make_annotator(project, kind="judge", name="max"))
    form = {"name": "pan", "members": [judge.pk, other.pk], "method": "auto"}
    response = posted("panels/new/", form)
    panel = Judge.objects.get(annotator__name="pan")
    assert response["Location"] == f"/projects/p/judges/{panel.pk}/"
    assert set(panel.panel.members.all()) == {judge, other}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [({"members": []}, "required"), ({"name": "judy"}, "already"), ({"method": "vote"}, "valid")],
)
def test_a_panel_that_cannot_be_says_why(
    project: Project, judge: Judge, change: dict[str, Any], sentence: str
) -> None:
    other = qualify_judge(make_annotator(project, kind="judge", name="max"))
    form = {"name": "pan", "members": [judge.pk, other.pk], "method": "auto", **change}
    response = posted("panels/new/", form)
    assert response.status_code == 422
    assert sentence in response.content.decode()
    assert not JudgePanel.objects.exists()


def test_an_alarm_reaches_the_owners_pages_and_is_closed_there(judge: Judge) -> None:
    message = "The endpoint now reports the model 'b' in place of 'a'."
    alarm = JudgeAlarm.objects.create(judge=judge, kind="endpoint", message=message)
    for path in ("", f"{judge.pk}/"):
        assert "The endpoint now reports" in page_of(path)
    assert posted(f"alarms/{alarm.pk}/close/").status_code == 302
    alarm.refresh_from_db()
    assert alarm.resolved_by == User.objects.get(username="ada")
    assert "The endpoint now reports" not in page_of("")
    assert posted(f"alarms/{alarm.pk}/close/").status_code == 404


def test_an_alarm_of_another_project_is_not_found(project: Project) -> None:
    foreign = Judge.objects.create(annotator=make_annotator(make_project(), kind="judge"))
    alarm = JudgeAlarm.objects.create(judge=foreign, kind="order", message="…")
    assert posted(f"alarms/{alarm.pk}/close/").status_code == 404

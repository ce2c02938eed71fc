"""The Python client against the real application, in this process."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from pytest_django.fixtures import Settings

from annotate.models import Comparison, ExportJob, FreezeJob, ImportJob
from annotate.models import Project as ProjectModel
from annotate.services.export_jobs import export_job_run
from annotate.services.freeze_jobs import freeze_job_run
from annotate.services.import_jobs import import_job_run
from annotate.services.tokens import api_token_create
from tandem_client import Client, Conflict, Invalid, JobFailed, NotFound, TandemError
from tandem_client.project import Project
from tests.factories import (
    make_annotator,
    make_comparison,
    make_preference,
    make_project,
    make_user,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def project_row(settings: Settings, tmp_path: Path) -> Iterator[ProjectModel]:
    """A project of ada's; requests leave the test's own connection open."""
    settings.MEDIA_ROOT = tmp_path / "media"
    request_started.disconnect(close_old_connections)
    request_finished.disconnect(close_old_connections)
    yield make_project(owner=make_user("ada"), slug="answers")
    request_started.connect(close_old_connections)
    request_finished.connect(close_old_connections)


@pytest.fixture
def secret(project_row: ProjectModel) -> str:
    user = project_row.memberships.get().user
    return api_token_create(user=user, name="client", scope="write")[1]


class Flaky(httpx2.BaseTransport):
    """The real application behind a line that first gives the answers that it was told to."""

    def __init__(self, *answers: httpx2.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx2.Request] = []
        self._real = httpx2.WSGITransport(app=get_wsgi_application(), raise_app_exceptions=False)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        return self._real.handle_request(request)


def client_over(line: Flaky, secret: str, waits: list[float] | None = None) -> Client:
    """A client that writes down how long it would have waited."""
    sleep = (waits if waits is not None else []).append
    return Client("http://localhost", secret, http=line, sleep=sleep)


@pytest.fixture
def project(secret: str) -> Project:
    return client_over(Flaky(), secret).project("answers")


def row(number: int, **fields: Any) -> dict[str, Any]:
    """A comparison in the native form."""
    responses = [{"text": f"yes {number}", "model": "a"}, {"text": "no", "model": "b"}]
    return {"id": f"q{number}", "prompt": f"Why {number}?", "responses": responses, **fields}


def test_what_is_sent_is_found_again(project: Project) -> None:
    rows = [row(number, meta={"topic": "eggs"}) for number in range(7)]
    report = project.add(rows, batch_size=3)
    assert (report.n_rows, report.n_created) == (7, 7)
    assert [each["id"] for each in project.comparisons()] == [f"q{n}" for n in range(7)]
    assert [each["id"] for each in project.read(["q3", "q99", "q1"])] == ["q3", "q1"]


def test_what_is_sent_twice_changes_nothing(project: Project) -> None:
    project.add([row(1)])
    assert project.add([row(1)]).n_unchanged == 1
    assert Comparison.objects.count() == 1


def test_labels_come_along(project: Project) -> None:
    project.add([row(1, human=[{"annotator": "p1", "preference": 1}])])
    (label,) = project.preferences(kind="human")
    assert (label["annotator"], label["ranking"]) == ("p1", [1, 0])


def test_a_bad_row_is_named_with_field_and_remedy(project: Project) -> None:
    with pytest.raises(Invalid) as refusal:
        project.add([row(1), {"id": "q2"}])
    (error,) = refusal.value.errors["comparisons"]
    assert (error["row"], error["field"]) == (2, "responses")
    assert error["remedy"]
    assert not Comparison.objects.exists()


def test_pages_are_followed_to_the_end(
    project: Project, project_row: ProjectModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tandem_client.project.PAGE", 2)
    for _ in range(5):
        make_comparison(project_row)
    assert len(list(project.comparisons(order="newest"))) == 5


def test_a_change_of_many_is_taken_back(project: Project) -> None:
    project.add([row(1), row(2)])
    change = project.change("priority", 4, state="open")
    assert [each["priority"] for each in project.comparisons()] == [4.0, 4.0]
    assert project.undo(change)["n_restored"] == 2
    with pytest.raises(Conflict):
        project.undo(change)


def test_an_export_goes_into_a_file_and_into_datasets(
    project: Project, project_row: ProjectModel, tmp_path: Path
) -> None:
    make_preference(make_comparison(project_row), make_annotator(project_row))
    path = project.export(tmp_path / "rows.jsonl", format="trl-preference")
    (line,) = path.read_text().splitlines()
    assert set(json.loads(line)) == {"prompt", "chosen", "rejected"}
    version = project.freeze()
    dataset = project.to_datasets(version=version["number"])
    assert dataset[0] == json.loads(line)


def test_a_refused_export_leaves_no_file(project: Project, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        project.export(tmp_path / "rows.jsonl", version=99)
    assert list(tmp_path.glob("rows*")) == []


def imported(project: Project, path: Path) -> Any:
    """Import a file with a worker that runs while the client waits."""

    def work(_seconds: float) -> None:
        import_job_run(job_id=ImportJob.objects.latest("pk").pk)

    return Project(project._transport, project.slug, sleep=work).import_file(path)


def test_a_file_is_imported_and_waited_for(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row(1)) + "\n")
    assert imported(project, path)["n_created"] == 1


def test_a_file_with_a_bad_row_raises_with_the_job(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("{}\n")
    with pytest.raises(JobFailed) as failure:
        imported(project, path)
    assert failure.value.job["errors"][0]["row"] == 1


@pytest.mark.parametrize(
    ("answer", "wait"),
    [
        (httpx2.Response(503), 0.5),
        (httpx2.Response(429, headers={"Retry-After": "7"}), 7.0),
        (httpx2.ConnectError("no line"), 0.5),
        (httpx2.ReadTimeout("too slow"), 0.5),
    ],
)
def test_overload_is_waited_out(
    secret: str, answer: httpx2.Response | Exception, wait: float
) -> None:
    waits: list[float] = []
    client = client_over(Flaky(answer), secret, waits)
    assert [each["slug"] for each in client.projects()] == ["answers"]
    assert waits == [wait]


def test_waits_grow_and_end(secret: str) -> None:
    waits: list[float] = []
    line = Flaky(*[httpx2.ConnectError("no line") for _ in range(5)])
    with pytest.raises(TandemError, match="cannot be reached"):
        client_over(line, secret, waits).projects()
    assert waits == [0.5, 1.0, 2.0, 4.0]


def test_a_post_that_was_heard_but_not_answered_is_done_once(
    secret: str, redis: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Flaky()
    real = line._real.handle_request
    lost = [httpx2.ReadTimeout("the answer was lost")]

    def losing(request: httpx2.Request) -> httpx2.Response:
        response = real(request)
        if lost:
            response.read()
            raise lost.pop()
        return response

    monkeypatch.setattr(line._real, "handle_request", losing)
    client_over(line, secret).create_project("Other", "other")
    keys = {request.headers["Idempotency-Key"] for request in line.requests}
    assert (len(line.requests), len(keys)) == (2, 1)
    assert ProjectModel.objects.filter(slug="other").count() == 1


@pytest.mark.parametrize(
    ("slug", "kind", "status"), [("nothing", NotFound, 404), ("answers", Invalid, 400)]
)
def test_refusals_are_told_apart(secret: str, slug: str, kind: type[Any], status: int) -> None:
    project = client_over(Flaky(), secret).project(slug)
    with pytest.raises(kind) as refusal:
        project.freeze("mean")
    assert refusal.value.status == status


def test_a_token_is_replaced_while_it_works(secret: str) -> None:
    line = Flaky()
    new = client_over(line, secret).rotate_token()
    assert client_over(line, new["secret"]).projects() == client_over(line, secret).projects()


def test_without_address_and_token_it_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("TANDEM_URL", raising=False)
    with pytest.raises(TandemError, match="TANDEM_URL"):
        Client()


# --- What takes a worker ------------------------------------------------------------------------


def beside_a_worker(secret: str, run: Callable[[], None]) -> Project:
    """A project whose jobs a worker runs whenever the client waits for one."""
    client = Client("http://localhost", secret, http=Flaky())
    return Project(client.project("answers")._transport, "answers", sleep=lambda _: run())


@pytest.fixture
def worked(secret: str, project_row: ProjectModel) -> Project:
    """The project beside a worker, with one labelled comparison."""
    comparison = make_comparison(project_row, external_id="q1")
    make_preference(comparison, make_annotator(project_row))

    def run() -> None:
        for model, work in (
            (ExportJob, export_job_run), (FreezeJob, freeze_job_run), (ImportJob, import_job_run),
        ):  # fmt: skip
            for job in model.objects.filter(state="queued"):
                work(job_id=job.pk)

    return beside_a_worker(secret, run)


def test_an_export_by_a_worker_is_fetched_and_checked(worked: Project, tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    job = worked.export_in_background(path, format="trl-preference", columns=["margin"])
    assert hashlib.sha256(path.read_bytes()).hexdigest() == job["sha256"]
    assert json.loads(path.read_text())["margin"] == 1.0


def test_versions_are_frozen_by_a_worker_and_compared(
    worked: Project, project_row: ProjectModel
) -> None:
    first = worked.freeze_in_background(min_votes=1)
    make_preference(make_comparison(project_row, external_id="q2"), make_annotator(project_row))
    second = worked.freeze_in_background(min_votes=1)
    assert [version["number"] for version in worked.versions()] == [2, 1]
    assert worked.version(1) == first
    assert worked.diff(first["number"], second["number"])["n_added"] == 1


def test_a_file_is_mapped_after_a_look_at_it(worked: Project, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("question,left,right\nWhy?,one,two\n")
    with pytest.raises(JobFailed) as failure:
        worked.import_file(path, dry_run=True)
    job = failure.value.job["id"]
    assert [column["name"] for column in worked.preview(job)["columns"]][:1] == ["question"]
    mapping = {"prompt": "question", "response_a": "left", "response_b": "right"}
    assert worked.remap(job, mapping)["n_created"] == 1
    assert worked.confirm(job)["state"] == "done"
    assert len(list(worked.comparisons())) == 2


def test_a_mapping_may_come_with_the_file(worked: Project, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("question,left,right\nWhy?,one,two\n")
    mapping = {"prompt": "question", "response_a": "left", "response_b": "right"}
    assert worked.import_file(path, format="mapped", mapping=mapping)["n_created"] == 1


def test_a_view_is_saved_and_listed(worked: Project) -> None:
    saved = worked.save_view("cooking", is_shared=True, slice="topic=cooking")
    assert worked.views() == [saved]
    assert saved["query"] == {"slice": "topic=cooking"}

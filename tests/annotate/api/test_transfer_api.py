"""Jobs, previews, mappings, hub imports, versions and differences over REST."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django.fixtures import Settings

from annotate.models import ExportJob, FreezeJob, ImportJob, Project
from annotate.services.export_jobs import export_job_run
from annotate.services.freeze_jobs import freeze_job_run
from annotate.services.import_jobs import import_job_run
from annotate.services.tokens import api_token_create
from annotate.services.versions import dataset_version_create
from tests.factories import (
    make_annotator,
    make_comparison,
    make_member,
    make_preference,
    make_project,
    make_user,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis")]
ROOT = "/api/v1/projects/answers"
NOBODY = UUID(int=7)
ADDRESSES = [
    "exports", f"exports/{NOBODY}", f"exports/{NOBODY}/file", "freezes", f"freezes/{NOBODY}",
    "imports", f"imports/{NOBODY}/preview", f"imports/{NOBODY}/errors", "versions/1",
    "versions/2/since/1",
]  # fmt: skip


@pytest.fixture(autouse=True)
def _folders(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def ada() -> User:
    return make_user("ada")


@pytest.fixture
def project(ada: User) -> Project:
    return make_project(owner=ada, slug="answers")


@pytest.fixture
def client(ada: User, project: Project) -> Client:
    return client_with(ada, "data")


def client_with(user: User, scope: str) -> Client:
    """A client with a token of this scope."""
    _, secret = api_token_create(user=user, name="test", scope=scope)
    return Client(headers={"authorization": f"Bearer {secret}"})


def post(client: Client, path: str, body: Any = None) -> Any:
    """Send JSON."""
    return client.post(f"{ROOT}/{path}", json.dumps(body or {}), "application/json")


def get(client: Client, path: str) -> Any:
    """Read JSON."""
    return client.get(f"{ROOT}/{path}").json()


def label(project: Project, name: str) -> None:
    """Add a comparison that one person has labelled."""
    comparison = make_comparison(project, external_id=name)
    make_preference(comparison, make_annotator(project))


def test_an_export_is_started_looked_at_and_fetched(client: Client, project: Project) -> None:
    label(project, "q1")
    asked = {"format": "trl-preference", "columns": ["margin"], "container": "jsonl"}
    started = post(client, "exports", asked)
    assert (started.status_code, started.json()["state"]) == (202, "queued")
    export_job_run(job_id=ExportJob.objects.get().pk)
    told = client.get(started["Location"]).json()
    assert (told["state"], told["options"]["columns"]) == ("done", ["margin"])
    file = client.get(f"{started['Location']}/file")
    content = file.getvalue()
    assert (len(content), file["ETag"]) == (told["n_bytes"], f'"{told["sha256"]}"')
    assert json.loads(content)["margin"] == 1.0
    assert [job["id"] for job in get(client, "exports")] == [told["id"]]


def test_an_export_of_a_version_may_be_filtered(client: Client, project: Project) -> None:
    label(project, "q1")
    dataset_version_create(project=project, label_rule="human_majority-v1", user=None)
    body = {"format": "native", "version": 1, "filters": {"criterion": "other"}}
    job = post(client, "exports", body).json()
    assert (job["version"], job["options"]["filters"]) == (1, {"criterion": "other"})
    export_job_run(job_id=ExportJob.objects.get().pk)
    assert get(client, f"exports/{job['id']}")["n_bytes"] == 0


def test_a_cancelled_export_has_no_file_and_goes_away(client: Client, project: Project) -> None:
    job = post(client, "exports", {"format": "native"}).json()
    place = f"{ROOT}/exports/{job['id']}"
    assert client.delete(place).status_code == 409
    assert post(client, f"exports/{job['id']}/cancel").json()["state"] == "cancelled"
    assert client.get(f"{place}/file").status_code == 404
    assert client.delete(place).status_code == 204
    assert not ExportJob.objects.exists()


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"format": "xml"}, "format"),
        ({"format": "native", "columns": ["margin"]}, "columns"),
        ({"format": "native", "filters": {"min_votes": -1}}, "filters"),
    ],
)
def test_an_export_that_cannot_be_made_is_refused_at_once(
    client: Client, body: dict[str, Any], field: str
) -> None:
    answer = post(client, "exports", body)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


def test_a_version_is_frozen_in_the_background(client: Client, project: Project) -> None:
    label(project, "q1")
    job = post(client, "freezes", {"filters": {"min_votes": 1}}).json()
    assert job["options"]["filters"] == {"min_votes": 1}
    assert [row["id"] for row in get(client, "freezes")] == [job["id"]]
    freeze_job_run(job_id=FreezeJob.objects.get().pk)
    assert get(client, f"freezes/{job['id']}")["version"] == 1
    assert get(client, "versions/1")["manifest"]["filters"] == {"min_votes": 1}


def test_a_freeze_is_cancelled(client: Client, project: Project) -> None:
    job = post(client, "freezes").json()
    assert post(client, f"freezes/{job['id']}/cancel").json()["state"] == "cancelled"
    assert not freeze_job_run(job_id=FreezeJob.objects.get().pk)


def test_two_versions_are_compared(client: Client, project: Project) -> None:
    for name in ("q1", "q2"):
        label(project, name)
        dataset_version_create(project=project, label_rule="human_majority-v1", user=None)
    diff = get(client, "versions/2/since/1")
    assert (diff["n_added"], diff["n_new_verdicts"], diff["is_whole"]) == (1, 1, True)
    assert (diff["before"]["number"], diff["after"]["number"]) == (1, 2)


def test_a_file_of_no_known_format_is_looked_at_and_mapped(
    client: Client, project: Project
) -> None:
    file = SimpleUploadedFile("rows.csv", b"question,left,right\nWhy?,one,two\n")
    started = client.post(f"{ROOT}/imports", {"file": file, "dry_run": "true"})
    job = started.json()
    import_job_run(job_id=ImportJob.objects.get().pk)
    assert [row["state"] for row in get(client, "imports")] == ["failed"]
    seen = get(client, f"imports/{job['id']}/preview")
    assert seen["columns"][0] == {"name": "question", "example": "Why?"}
    mapping = {"prompt": "question", "response_a": "left", "response_b": "right"}
    again = post(client, f"imports/{job['id']}/mapping", {"mapping": mapping})
    assert (again.status_code, again.json()["state"]) == (202, "queued")
    import_job_run(job_id=ImportJob.objects.get().pk)
    checked = get(client, f"imports/{job['id']}")
    assert (checked["state"], checked["n_created"]) == ("done", 1)


def test_a_mapping_without_a_prompt_is_refused(client: Client, project: Project) -> None:
    file = SimpleUploadedFile("rows.csv", b"question,left,right\nWhy?,one,two\n")
    job = client.post(f"{ROOT}/imports", {"file": file, "dry_run": "true"}).json()
    assert post(client, f"imports/{job['id']}/mapping", {"mapping": {}}).status_code == 400


def test_errors_of_an_import_come_as_a_table(client: Client, project: Project) -> None:
    file = SimpleUploadedFile("rows.jsonl", b'{"id": "q1", "prompt": "Why?", "responses": []}\n')
    job = client.post(f"{ROOT}/imports", {"file": file, "format": "native"}).json()
    import_job_run(job_id=ImportJob.objects.get().pk)
    answer = client.get(f"{ROOT}/imports/{job['id']}/errors")
    assert answer["Content-Type"] == "text/csv"
    assert b"responses" in answer.getvalue()


def test_the_hub_is_asked_only_where_the_operator_allows_it(
    client: Client, project: Project, settings: Settings
) -> None:
    settings.HUB_IMPORTS = False
    refused = post(client, "imports/hub", {"source": "owner/rows"})
    assert (refused.status_code, list(refused.json()["errors"])) == (400, ["source"])
    settings.HUB_IMPORTS = True
    taken = post(client, "imports/hub", {"source": "owner/rows", "split": "train"})
    assert taken.status_code == 202
    job = ImportJob.objects.get(public_id=UUID(taken.json()["id"]))
    assert job.hub_source == {"source": "owner/rows", "config": "", "split": "train"}


@pytest.mark.parametrize("path", ADDRESSES)
def test_only_owners_see_any_of_it(project: Project, path: str) -> None:
    ben = make_user("ben")
    make_member(project, ben)
    outsider, member = client_with(make_user("cleo"), "write"), client_with(ben, "write")
    assert outsider.get(f"{ROOT}/{path}").status_code == 404
    assert member.get(f"{ROOT}/{path}").status_code in (403, 404)


@pytest.mark.parametrize("path", ["exports", "freezes", "imports/hub"])
def test_a_token_that_may_only_read_starts_nothing(ada: User, project: Project, path: str) -> None:
    assert post(client_with(ada, "read"), path, {"source": "owner/rows"}).status_code == 403

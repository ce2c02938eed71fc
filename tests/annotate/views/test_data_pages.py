"""The data page: a file is looked at, imported, frozen and exported."""

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from annotate.models import Comparison, DatasetVersion, ImportJob, Project
from annotate.services.import_jobs import import_job_run
from tests.factories import (
    make_annotator,
    make_comparison,
    make_member,
    make_preference,
    make_project,
    make_user,
)

pytestmark = pytest.mark.django_db
PAGE = "/projects/answers/data/"
ROW = b'{"id": "q1", "prompt": "Why?", "responses": [{"text": "one"}, {"text": "two"}]}\n'


@pytest.fixture(autouse=True)
def media(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def project() -> Project:
    project = make_project(owner=make_user("ada"), slug="answers")
    make_member(project, make_user("ben"))
    make_user("cleo")
    return project


def signed_in(name: str) -> Client:
    """A client of this user."""
    client = Client()
    client.force_login(User.objects.get(username=name))
    return client


@pytest.fixture
def ada(project: Project) -> Client:
    return signed_in("ada")


def uploaded(client: Client, content: bytes = ROW, **fields: str) -> ImportJob:
    """Send a file and return its job."""
    form = {"file": SimpleUploadedFile("rows.jsonl", content), "format": "auto", **fields}
    response = client.post(f"{PAGE}imports/", form)
    job = ImportJob.objects.latest("created_at")
    assert response.headers["Location"] == reverse(
        "annotate:import-job", args=["answers", job.public_id]
    )
    return job


def page_of(job: ImportJob) -> str:
    """The address of a job's page."""
    return f"{PAGE}imports/{job.public_id}/"


@pytest.mark.parametrize(("who", "status"), [("ada", 200), ("ben", 403), ("cleo", 404)])
def test_the_page_is_for_owners(project: Project, who: str, status: int) -> None:
    assert signed_in(who).get(PAGE).status_code == status


@pytest.mark.parametrize(("who", "status"), [("ben", 403), ("cleo", 404)])
@pytest.mark.parametrize("place", ["", "confirm/", "cancel/"])
def test_a_job_is_for_owners(ada: Client, who: str, status: int, place: str) -> None:
    job = uploaded(ada)
    method = signed_in(who).post if place else signed_in(who).get
    assert method(page_of(job) + place).status_code == status


def test_a_visitor_is_sent_to_the_login(project: Project) -> None:
    assert Client().get(PAGE).headers["Location"].startswith("/login/")


def test_an_empty_project_shows_what_a_row_looks_like(ada: Client) -> None:
    content = ada.get(PAGE).content.decode()
    assert "What a row looks like" in content
    assert "No version yet." in content


def test_a_file_is_shown_and_checked_before_anything_is_written(ada: Client) -> None:
    job = uploaded(ada)
    content = ada.get(page_of(job)).content.decode()
    assert (job.dry_run, Comparison.objects.count()) == (True, 0)
    assert "Native JSONL" in content
    assert "Why?" in content
    assert "hx-get" in content


def test_a_checked_file_waits_for_a_click_and_then_imports(ada: Client) -> None:
    job = uploaded(ada)
    import_job_run(job_id=job.pk)
    assert "Import 1 comparison<" in ada.get(page_of(job)).content.decode()
    ada.post(page_of(job) + "confirm/")
    import_job_run(job_id=job.pk)
    content = ada.get(page_of(job)).content.decode()
    assert Comparison.objects.count() == 1
    assert "See comparisons" in content
    assert "hx-get" not in content


def test_a_file_that_brings_nothing_new_has_no_import_button(ada: Client) -> None:
    first = uploaded(ada)
    import_job_run(job_id=first.pk)
    ada.post(page_of(first) + "confirm/")
    import_job_run(job_id=first.pk)
    again = uploaded(ada)
    import_job_run(job_id=again.pk)
    content = ada.get(page_of(again)).content.decode()
    assert "Everything in it is here already." in content
    assert "confirm/" not in content


def test_polling_gets_only_the_state(ada: Client) -> None:
    job = uploaded(ada)
    content = ada.get(page_of(job), headers={"hx-request": "true"}).content.decode()
    assert content.strip().startswith("<section")
    assert "every 1s" in content


def test_errors_name_row_field_and_remedy_and_escape_what_the_file_says(ada: Client) -> None:
    job = uploaded(ada, b'{"<script>": 1}\n', format="native")
    import_job_run(job_id=job.pk)
    content = ada.get(page_of(job)).content.decode()
    assert "Unknown field &#x27;&lt;script&gt;&#x27;" in content
    assert "Put it under meta." in content
    assert "<script>" not in content.replace("<script type", "").replace("<script src", "")


def test_rows_with_the_same_error_are_shown_together(ada: Client) -> None:
    job = uploaded(ada, b"{}\n" * 12)
    import_job_run(job_id=job.pk)
    content = ada.get(page_of(job)).content.decode()
    assert "1, 2, 3, 4, 5, 6, 7, 8 and 4 more" in content


def test_a_cancelled_import_stays_cancelled(ada: Client) -> None:
    job = uploaded(ada)
    ada.post(page_of(job) + "cancel/")
    job.refresh_from_db()
    assert job.state == "cancelled"


@pytest.mark.parametrize("content", [b"", None])
def test_a_form_without_rows_is_refused_beside_the_field(
    ada: Client, content: bytes | None
) -> None:
    form = {} if content is None else {"file": SimpleUploadedFile("x.jsonl", content)}
    response = ada.post(f"{PAGE}imports/", {**form, "format": "auto"})
    assert response.status_code == 422
    assert 'class="error"' in response.content.decode()
    assert not ImportJob.objects.exists()


def test_freezing_lists_a_version_with_hash_manifest_and_downloads(
    ada: Client, project: Project
) -> None:
    make_preference(make_comparison(project), make_annotator(project))
    ada.post(f"{PAGE}versions/", {"label_rule": "human_majority-v1"})
    version = DatasetVersion.objects.get()
    content = ada.get(PAGE).content.decode()
    assert version.content_hash in content
    page = ada.get(f"{PAGE}versions/1/").content.decode()
    assert "Rows (chosen and rejected)" in page
    download = "/api/v1/projects/answers/export?format=native&amp;version=1"
    assert download in content
    assert ada.get(download.replace("&amp;", "&")).status_code == 200


def test_freezing_nothing_says_why(ada: Client) -> None:
    response = ada.post(f"{PAGE}versions/", {"label_rule": "human_majority-v1"})
    assert response.status_code == 422
    assert "nothing to freeze" in response.content.decode()


ASKED = {"format": "trl-preference", "version": "", "label_rule": "", "style": "auto"}
ASKED |= {"container": "", "pairing": "all", "prompt": "explicit", "columns": "id"}


def test_the_export_form_as_the_browser_sends_it_downloads(ada: Client, project: Project) -> None:
    make_preference(make_comparison(project), make_annotator(project))
    redirected = ada.post(f"{PAGE}exports/", {**ASKED, "now": "1"})
    response = ada.get(redirected.headers["Location"])
    assert response.status_code == 200
    assert "attachment" in response.headers["Content-Disposition"]
    assert b'"id"' in b"".join(response.streaming_content)  # type: ignore[attr-defined]


def test_no_two_fields_of_the_page_share_an_id(project: Project, settings: Settings) -> None:
    settings.HUB_IMPORTS = True
    client = Client()
    client.force_login(User.objects.get(username="ada"))
    ids = re.findall(r'\bid="([^"]+)"', client.get(PAGE).content.decode())
    assert {"id_format", "hubform_source", "exportform_format"} <= set(ids)
    assert len(ids) == len(set(ids))

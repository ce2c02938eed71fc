"""Mapping columns, background exports, versions and their differences, page by page."""

from pathlib import Path

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from pytest_django.fixtures import Settings

from annotate.models import Comparison, ExportJob, FreezeJob, ImportJob, Project
from annotate.services.export_jobs import export_job_run
from annotate.services.freeze_jobs import freeze_job_run
from annotate.services.import_jobs import import_job_run
from annotate.services.versions import dataset_version_create
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
CSV = b"q,one,two,best\nWhy?,Because.,As GPT-4 I know.,b\nWho?,I.,You.,maybe\n"
MAPPING = {
    "prompt": "q", "response_a": "one", "response_b": "two", "preference": "best",
    "one_means": "b", "kind": "human",
}  # fmt: skip
ASKED = {
    "format": "trl-preference", "version": "", "label_rule": "", "style": "auto", "container": "",
    "pairing": "all", "prompt": "explicit",
}  # fmt: skip


@pytest.fixture(autouse=True)
def media(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path / "media"


@pytest.fixture
def project() -> Project:
    project = make_project(owner=make_user("ada"), slug="answers")
    make_member(project, make_user("ben"))
    make_preference(make_comparison(project, external_id="c1"), make_annotator(project))
    return project


@pytest.fixture
def ada(project: Project) -> Client:
    client = Client()
    client.force_login(project.memberships.get(role="owner").user)
    return client


def checked(ada: Client, content: bytes) -> ImportJob:
    """Upload a file and check it."""
    ada.post(f"{PAGE}imports/", {"file": SimpleUploadedFile("rows.csv", content), "format": "auto"})
    job = ImportJob.objects.latest("created_at")
    import_job_run(job_id=job.pk)
    return job


def text_of(ada: Client, path: str) -> str:
    """A page as text."""
    response = ada.get(path)
    assert response.status_code == 200
    return response.content.decode()


def test_an_unknown_file_is_mapped_checked_and_its_errors_downloaded(ada: Client) -> None:
    job = checked(ada, CSV)
    page = text_of(ada, f"{PAGE}imports/{job.public_id}/")
    assert "Say which column holds what" in page
    assert "Because." in page
    ada.post(f"{PAGE}imports/{job.public_id}/mapping/", MAPPING)
    import_job_run(job_id=job.pk)
    errors = ada.get(f"{PAGE}imports/{job.public_id}/errors/")
    lines = b"".join(errors.streaming_content).decode().splitlines()  # type: ignore[attr-defined]
    assert lines[0] == "row,field,message,remedy"
    assert lines[1].startswith("3,best,'maybe' is no verdict.")


def test_a_mapped_file_is_imported_and_leaks_are_counted(ada: Client) -> None:
    job = checked(ada, CSV.replace(b"maybe", b"tie"))
    ada.post(f"{PAGE}imports/{job.public_id}/mapping/", MAPPING)
    import_job_run(job_id=job.pk)
    page = text_of(ada, f"{PAGE}imports/{job.public_id}/")
    assert "As GPT" in page
    ada.post(f"{PAGE}imports/{job.public_id}/confirm/")
    import_job_run(job_id=job.pk)
    assert Comparison.objects.count() == 3


def test_a_mapping_without_a_prompt_is_refused(ada: Client) -> None:
    job = checked(ada, CSV)
    ada.post(f"{PAGE}imports/{job.public_id}/mapping/", {**MAPPING, "prompt": ""})
    job.refresh_from_db()
    assert (job.state, job.format) == ("failed", "auto")


def test_the_hub_is_offered_only_where_the_operator_allows_it(
    ada: Client, settings: Settings
) -> None:
    assert "Hugging Face hub" not in text_of(ada, PAGE)
    settings.HUB_IMPORTS = True
    assert "Hugging Face hub" in text_of(ada, PAGE)
    assert ada.post(f"{PAGE}imports/hub/", {"source": "no name"}).status_code == 422


def test_an_export_in_the_background_ends_as_a_file(ada: Client) -> None:
    place = ada.post(f"{PAGE}exports/", ASKED).headers["Location"]
    job = ExportJob.objects.get()
    assert "hx-get" in text_of(ada, place)
    export_job_run(job_id=job.pk)
    job.refresh_from_db()
    shown = text_of(ada, place)
    assert job.sha256 in shown
    assert "<dt>Format</dt><dd>TRL preference</dd>" in shown
    content = b"".join(ada.get(f"{place}file/").streaming_content)  # type: ignore[attr-defined]
    assert content.startswith(b'{"prompt"')
    ada.post(f"{place}delete/")
    assert not ExportJob.objects.exists()


def test_an_export_that_cannot_be_is_refused_beside_the_field(ada: Client) -> None:
    asked = {**ASKED, "format": "argilla", "container": "parquet"}
    response = ada.post(f"{PAGE}exports/", asked)
    assert response.status_code == 422
    assert "use one of" in response.content.decode()


def test_a_cancelled_export_says_so(ada: Client) -> None:
    place = ada.post(f"{PAGE}exports/", ASKED).headers["Location"]
    ada.post(f"{place}cancel/")
    assert "Cancelled" in text_of(ada, place)


def test_versions_are_shown_compared_and_their_manifest_downloaded(
    ada: Client, project: Project
) -> None:
    dataset_version_create(project=project, label_rule="human_majority-v1", user=None)
    given = project.comparisons.get().preferences.get()
    make_preference(given.comparison, given.annotator, (1, 0), supersedes=given)
    ada.post(f"{PAGE}versions/", {"label_rule": "human_majority-v1"})
    assert "with v1" in text_of(ada, f"{PAGE}versions/2/")
    assert "turned round" in text_of(ada, f"{PAGE}versions/2/since/1/")
    manifest = ada.get(f"{PAGE}versions/2/manifest/").json()
    assert (manifest["number"], manifest["parents"][0]["number"]) == (2, 1)


def test_a_version_names_its_filters_in_words(ada: Client) -> None:
    asked = {"label_rule": "human_majority-v1", "min_votes": 1, "without_simulated": "on"}
    ada.post(f"{PAGE}versions/", asked)
    shown = text_of(ada, f"{PAGE}versions/1/")
    assert "<dd>verdicts per comparison: at least 1; without simulated verdicts</dd>" in shown


def test_a_fitted_rule_is_frozen_in_the_background(ada: Client) -> None:
    place = ada.post(f"{PAGE}versions/", {"label_rule": "dawid_skene-v1"}).headers["Location"]
    assert "hx-get" in text_of(ada, place)
    freeze_job_run(job_id=FreezeJob.objects.get().pk)
    assert "Version v1 holds 1 rows." in text_of(ada, place)


@pytest.mark.parametrize("place", ["versions/1/", "versions/2/since/1/", "versions/1/manifest/"])
def test_versions_are_for_owners(project: Project, place: str) -> None:
    client = Client()
    client.force_login(project.memberships.exclude(role="owner").get().user)
    assert client.get(PAGE + place).status_code == 403

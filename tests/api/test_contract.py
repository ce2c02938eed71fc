"""schemathesis over the whole API: no 5xx, and nothing that the description does not promise."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import schemathesis
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections
from django.utils import timezone
from drf_spectacular.generators import SchemaGenerator
from pytest_django.fixtures import Settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from annotate.models import Annotator, Comparison
from annotate.services.bulk_changes import bulk_change
from annotate.services.export_jobs import export_job_create, export_job_run
from annotate.services.figures import figures_refresh
from annotate.services.freeze_jobs import freeze_job_create
from annotate.services.import_jobs import import_job_create, import_job_run
from annotate.services.saved_views import saved_view_save
from annotate.services.tokens import api_token_create
from annotate.services.versions import dataset_version_create
from annotate.services.webhooks import webhook_create, webhook_test
from tests.factories import (
    make_annotator,
    make_comparison,
    make_preference,
    make_project,
    make_user,
)

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = 3
KNOWN: dict[str, Any] = {}

DESCRIPTION = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
SCHEMA = schemathesis.openapi.from_dict(DESCRIPTION)
SCHEMA.app = get_wsgi_application()


@pytest.fixture
def headers(db: None, settings: Settings, tmp_path: Path) -> Iterator[dict[str, str]]:
    """A project with one row of most kinds, and a token that may do everything."""
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.WEBHOOK_ALLOWED_PRIVATE_HOSTS = ["127.0.0.1"]
    # As Django's own test client does: the request's end must not close the test's connection.
    request_started.disconnect(close_old_connections)
    request_finished.disconnect(close_old_connections)
    yield {"Authorization": f"Bearer {_world()}"}
    request_started.connect(close_old_connections)
    request_finished.connect(close_old_connections)


def _world() -> str:
    ada = make_user("ada")
    project = make_project(owner=ada, slug="answers")
    human, judge = make_annotator(project), make_annotator(project, kind=Annotator.Kind.JUDGE)
    comparison: Comparison = make_comparison(project, metadata={"topic": "eggs"})
    for annotator in (human, judge):
        make_preference(comparison, annotator)
    figures_refresh(project=project)
    dataset_version_create(project=project, label_rule="human_majority-v1", user=ada)
    change = bulk_change(
        project=project,
        user=ada,
        action="priority",
        comparison_ids=[comparison.pk],
        value=2,
    )
    webhook = webhook_create(
        project=project, user=ada, url="http://127.0.0.1:9/", events=["labels.created"]
    )
    delivery = webhook_test(webhook=webhook)
    view = saved_view_save(project=project, user=ada, name="eggs", query={"q": "eggs"})
    export = export_job_create(project=project, user=ada, format="native")
    export_job_run(job_id=export.pk)
    freeze = freeze_job_create(project=project, label_rule="human_majority-v1", user=ada)
    job = import_job_create(
        project=project, user=ada, dry_run=True,
        file=SimpleUploadedFile("rows.csv", b"question,left,right\nWhy?,one,two\n"),
    )  # fmt: skip
    import_job_run(job_id=job.pk)
    _, secret = api_token_create(
        user=ada,
        name="contract",
        scope="write",
        expires_at=timezone.now() + timedelta(days=1),
        rate_per_minute=1_000_000,
    )
    KNOWN.update(
        {
            "comparisons": comparison.pk,
            "changes": change.public_id,
            "webhooks": webhook.public_id,
            "deliveries": delivery.public_id,
            "views": view.pk,
            "annotators": human.pk,
            "people": human.pk,
            "exports": export.public_id,
            "freezes": freeze.public_id,
            "imports": job.public_id,
            "versions": 1,
            "since": 1,
        }
    )
    return secret


@SCHEMA.parametrize()
@hypothesis.settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
def test_every_operation_keeps_its_word(case: Any, headers: dict[str, str]) -> None:
    _use_known_rows(case)
    case.call_and_validate(headers=headers, checks=CHECKS)


def _use_known_rows(case: Any) -> None:
    """Ask for rows that exist: random ids would only ever be answered with 404."""
    parts = case.operation.path.strip("/").split("/")
    for name in case.path_parameters or {}:
        owner = parts[parts.index("{" + name + "}") - 1]
        known = "answers" if name == "slug" else KNOWN.get(owner)
        if known is not None:
            case.path_parameters[name] = known

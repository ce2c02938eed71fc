"""The three-human set as a project: a study says by itself what it knows, and rounds follow."""

from decimal import Decimal
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from pytest_django.fixtures import Settings

from annotate.models import Annotator, JobState, Project
from annotate.services.imports import comparisons_import
from routing.services.studies import routing_study_start
from routing.tasks import routing_study_execute
from tests.factories import make_project


@pytest.fixture
def three_humans(real_data: Path, ada: User, settings: Settings, tmp_path: Path) -> Project:
    settings.MEDIA_ROOT = str(tmp_path / "media")
    project = make_project(owner=ada, human_price_usd=Decimal("0.50"))
    comparisons_import(project=project, path=real_data / "pandalm.jsonl")
    return project


@pytest.mark.slow
def test_study_of_the_three_human_set_reports_its_own_limits(
    three_humans: Project, ada: User
) -> None:
    judge = Annotator.objects.get(project=three_humans, name="gpt-3.5-turbo")
    study = routing_study_start(project=three_humans, judge=judge, user=ada, seed=2)
    routing_study_execute(study.pk)
    study.refresh_from_db()
    assert study.state == JobState.DONE, study.message
    # 974 parsed verdicts; agreement with the majority .716: facts of the set.
    assert study.result["n_comparisons"] == 974
    assert study.result["judge_agreement"] == pytest.approx(0.716, abs=0.001)
    ppm = study.result["ppm"]
    assert ppm["n_mixes"] == 240
    assert ppm["spread_pp"] < ppm["noise_floor_pp"]
    assert not ppm["has_signal"]
    assert "within the noise floor" in ppm["reason"]

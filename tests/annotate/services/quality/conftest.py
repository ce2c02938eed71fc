"""A project with one annotator."""

import pytest

from annotate.models import Annotator, Project
from tests.factories import make_annotator, make_project, make_user


@pytest.fixture
def project() -> Project:
    return make_project(owner=make_user("ada"), slug="answers")


@pytest.fixture
def ben(project: Project) -> Annotator:
    return make_annotator(project, name="ben")

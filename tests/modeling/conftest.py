"""Fixtures of the modeling tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from tests.fake_endpoint import FakeEndpoint, running_endpoint


@pytest.fixture
def endpoint() -> Iterator[FakeEndpoint]:
    """Give an endpoint that answers as recorded, and misbehaves on request."""
    with running_endpoint() as fake:
        yield fake


@pytest.fixture
def media(settings: Settings, tmp_path: Path) -> Path:
    """Keep artifacts and caches of a test in a folder of its own."""
    settings.MEDIA_ROOT = str(tmp_path / "media")
    return tmp_path / "media"

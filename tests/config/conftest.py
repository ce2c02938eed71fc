"""What the tests of real servers share."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from config import services


@pytest.fixture
def home() -> Iterator[Path]:
    """Give a data directory of its own, whose servers are stopped afterwards.

    Not `tmp_path`: when root runs the tests, PostgreSQL's account must reach the folder, and
    every pytest that starts closes the parent of all `tmp_path`s to other users.
    """
    with tempfile.TemporaryDirectory(prefix="tandem-test-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder) / "data"
        services.release(Path(folder) / "data")

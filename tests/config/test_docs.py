"""The operator's page names every setting and every queue."""

import re
from pathlib import Path

import pytest

from config.management.commands.up import GENERAL_QUEUES

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()
SOURCES = [ROOT / "config" / name for name in ("settings.py", "gunicorn_conf.py")]
READS = re.compile(r"""(?:env_\w+|environ\.get)\(\s*"([A-Z_]+)\"""")
SETTINGS = sorted({name for source in SOURCES for name in READS.findall(source.read_text())})


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_stands_in_the_operations_page(name: str) -> None:
    assert f"`{name}`" in PAGE


@pytest.mark.parametrize("queue", [*GENERAL_QUEUES, "training"])
def test_every_queue_stands_in_the_operations_page(queue: str) -> None:
    assert f"| `{queue}` |" in PAGE

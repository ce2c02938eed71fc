"""Static files are collected when they changed, and only then."""

from pathlib import Path

import pytest
from pytest_django import Settings

from config.static_files import collect_if_changed


@pytest.fixture
def source(tmp_path: Path, settings: Settings) -> Path:
    """Give the only source folder of static files."""
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "page.css").write_text("body {}")
    settings.STATICFILES_DIRS = [folder]
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]
    settings.STATIC_ROOT = str(tmp_path / "static")
    return folder


def test_a_first_start_collects_and_a_second_finds_nothing_to_do(
    source: Path, tmp_path: Path
) -> None:
    assert collect_if_changed(tmp_path / "static")
    assert (tmp_path / "static" / "page.css").read_text() == "body {}"
    assert not collect_if_changed(tmp_path / "static")


def test_a_changed_file_is_collected_again(source: Path, tmp_path: Path) -> None:
    collect_if_changed(tmp_path / "static")
    (source / "page.css").write_text("body { margin: 0 }")
    assert collect_if_changed(tmp_path / "static")
    assert (tmp_path / "static" / "page.css").read_text() == "body { margin: 0 }"


def test_a_removed_collection_is_made_again(source: Path, tmp_path: Path) -> None:
    collect_if_changed(tmp_path / "static")
    (tmp_path / "static" / "page.css").unlink()
    (tmp_path / "static").rmdir()
    assert collect_if_changed(tmp_path / "static")

"""Whole files under a name, in a local folder and in a storage that has none."""

from pathlib import Path

import pytest
from django.conf import LazySettings

from modeling.storage import (
    storage_folder,
    storage_names,
    storage_read,
    storage_remove_folder,
    storage_write,
    storage_write_file,
)

IN_MEMORY = "django.core.files.storage.InMemoryStorage"
ON_DISK = "django.core.files.storage.FileSystemStorage"


@pytest.fixture(params=[ON_DISK, IN_MEMORY], autouse=True)
def _storage(request: pytest.FixtureRequest, settings: LazySettings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = str(tmp_path / "media")
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": request.param}}


def test_a_second_writing_takes_the_place_of_the_first() -> None:
    storage_write("folder/a.bin", b"first")
    storage_write("folder/a.bin", b"second")
    assert storage_read("folder/a.bin") == b"second"
    assert list(storage_names("folder", ".bin")) == ["folder/a.bin"]


def test_a_local_file_is_stored_with_its_sha256(tmp_path: Path) -> None:
    path = tmp_path / "abc.txt"
    path.write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert storage_write_file("folder/abc.txt", path) == expected
    assert storage_read("folder/abc.txt") == b"abc"


def test_a_stored_folder_can_be_had_as_a_local_one(tmp_path: Path) -> None:
    storage_write("models/1/weights.bin", b"weights")
    local = storage_folder("models/1", ["weights.bin"], tmp_path / "scratch")
    assert (local / "weights.bin").read_bytes() == b"weights"


def test_a_removed_folder_has_no_files_left() -> None:
    storage_write("models/1/weights.bin", b"weights")
    storage_remove_folder("models")
    assert list(storage_names("models/1", ".bin")) == []


def test_removing_a_folder_that_is_not_there_is_fine() -> None:
    storage_remove_folder("nowhere")

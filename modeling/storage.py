"""Whole files on Django's storage: the complete content is there under a name, or nothing."""

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage, default_storage

BLOCK = 2**20


def storage_write(name: str, content: bytes) -> None:
    """Put a file under exactly this name, replacing what was there, so that a kill leaves no half.

    A local folder gets a temporary file and a rename; object stores replace whole objects anyway.
    """
    target = _local_path(name)
    if target is None:
        default_storage.delete(name)
        default_storage.save(name, ContentFile(content))
        return
    with _replacing(target) as file:
        file.write(content)


def _local_path(name: str) -> Path | None:
    """Where a file lies on this machine; ``None`` where the storage is no local folder."""
    # Asked by class, since a storage may name paths at which it keeps nothing, as Django's own
    # in memory does.
    if isinstance(default_storage, FileSystemStorage):
        return Path(default_storage.path(name))
    return None


@contextmanager
def _replacing(target: Path) -> Iterator[BinaryIO]:
    """Open a draft of its own name, which takes the place of the target when it is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=target.parent, prefix=".draft-")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(draft).replace(target)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def storage_write_file(name: str, path: Path) -> str:
    """Put a local file under exactly this name, block by block; return its SHA-256."""
    digest = sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    target = _local_path(name)
    if target is None:
        default_storage.delete(name)
        with path.open("rb") as file:
            default_storage.save(name, File(file))
        return digest.hexdigest()
    with path.open("rb") as source, _replacing(target) as copy:
        shutil.copyfileobj(source, copy, BLOCK)
    return digest.hexdigest()


def storage_folder(name: str, files: Iterable[str], scratch: Path) -> Path:
    """Return a local folder with the files of a stored one: itself, or a copy under ``scratch``."""
    local = _local_path(name)
    if local is not None:
        return local
    target = scratch / name
    target.mkdir(parents=True, exist_ok=True)
    for file in files:
        if not (target / file).exists():
            with default_storage.open(f"{name}/{file}", "rb") as source:
                draft = target / f".draft-{file}"
                with draft.open("wb") as copy:
                    shutil.copyfileobj(source, copy)
                draft.replace(target / file)
    return target


def storage_read(name: str) -> bytes:
    """Return a whole file."""
    with default_storage.open(name, "rb") as file:
        return bytes(file.read())


def storage_names(folder: str, suffix: str) -> Iterator[str]:
    """Yield the names of a folder's finished files, in order; a missing folder has none."""
    try:
        _, names = default_storage.listdir(folder)
    except FileNotFoundError:
        return
    for name in sorted(names):
        if name.endswith(suffix) and not name.startswith("."):
            yield f"{folder}/{name}"


def storage_remove_folder(folder: str) -> None:
    """Remove a folder with its files; one that is not there is fine."""
    try:
        folders, names = default_storage.listdir(folder)
    except FileNotFoundError:
        return
    for name in names:
        default_storage.delete(f"{folder}/{name}")
    for name in folders:
        storage_remove_folder(f"{folder}/{name}")
    default_storage.delete(folder)

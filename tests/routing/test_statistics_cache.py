"""Kept text statistics: what is known is not computed again, wherever the files lie."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from django.conf import LazySettings
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from routing.core.arrays import FloatArray
from routing.core.features import STATISTIC_NAMES
from routing.statistics_cache import known_statistics, statistics_of

IN_MEMORY = "django.core.files.storage.InMemoryStorage"
ON_DISK = "django.core.files.storage.FileSystemStorage"
WIDTH = len(STATISTIC_NAMES)


@pytest.fixture(params=[ON_DISK, IN_MEMORY])
def _storage(request: pytest.FixtureRequest, settings: LazySettings, tmp_path: Path) -> None:
    """A local folder, and a storage whose files have no path on this machine."""
    settings.MEDIA_ROOT = str(tmp_path)
    settings.STORAGES = {**settings.STORAGES, "default": {"BACKEND": request.param}}


class Statistics:
    """Gives every comparison a row of its own number, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __call__(self, ids: Sequence[int]) -> FloatArray:
        self.asked += ids
        return np.repeat(np.asarray(ids, np.float64)[:, None], WIDTH, axis=1)


@pytest.mark.usefixtures("_storage")
def test_each_comparison_is_read_once() -> None:
    compute = Statistics()
    statistics_of(project_id=7, comparison_ids=np.array([5, 3]), compute=compute)
    values = statistics_of(project_id=7, comparison_ids=np.array([4, 3, 5]), compute=compute)
    assert compute.asked == [3, 5, 4]
    assert values[:, 0].tolist() == [4.0, 3.0, 5.0]


@pytest.mark.usefixtures("_storage")
def test_only_what_was_read_is_known() -> None:
    statistics_of(project_id=7, comparison_ids=np.array([3, 5]), compute=Statistics())
    rows, values = known_statistics(project_id=7, comparison_ids=np.array([4, 5, 9]))
    assert rows.tolist() == [1]
    assert values[:, 0].tolist() == [5.0]


@pytest.mark.usefixtures("_storage")
def test_a_file_cut_short_is_computed_again() -> None:
    statistics_of(project_id=7, comparison_ids=np.array([3]), compute=Statistics())
    name = "routing/statistics-7-v1.npz"
    with default_storage.open(name) as file:
        content = file.read()
    default_storage.delete(name)
    default_storage.save(name, ContentFile(content[:40]))
    compute = Statistics()
    statistics_of(project_id=7, comparison_ids=np.array([3]), compute=compute)
    assert compute.asked == [3]

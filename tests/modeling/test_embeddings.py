"""Vectors are encoded once, read back into their place, and held once."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from pytest_django.fixtures import Settings

from modeling.core.types import Float32Array
from modeling.embeddings import cached_rows, n_missing, text_key

FOLDER = "embeddings/test"


@pytest.fixture(autouse=True)
def storage(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = str(tmp_path)


def keys(*names: str) -> list[bytes]:
    return [text_key(name) for name in names]


class Encoder:
    """Gives text number k the row (k, k + 1/2), and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def __call__(self, rows: list[int]) -> Float32Array:
        self.asked.append(rows)
        return np.array([[row, row + 0.5] for row in rows], dtype=np.float32)


def test_each_text_is_encoded_once_however_often_it_stands_there() -> None:
    encoder = Encoder()
    rows = cached_rows(folder=FOLDER, keys=keys("a", "b", "a", "c"), compute=encoder)
    assert rows.tolist() == [[0.0, 0.5], [1.0, 1.5], [0.0, 0.5], [3.0, 3.5]]
    assert encoder.asked == [[0, 1, 3]]


def test_what_is_stored_comes_back_in_the_order_asked_for() -> None:
    cached_rows(folder=FOLDER, keys=keys("a", "b", "c"), compute=Encoder(), chunk=2)
    encoder = Encoder()
    rows = cached_rows(folder=FOLDER, keys=keys("c", "new", "a"), compute=encoder)
    assert rows.tolist() == [[2.0, 2.5], [1.0, 1.5], [0.0, 0.5]]
    assert encoder.asked == [[1]]


def test_only_what_no_shard_has_is_counted_as_missing() -> None:
    cached_rows(folder=FOLDER, keys=keys("a", "b"), compute=Encoder())
    assert n_missing(folder=FOLDER, keys=keys("b", "c", "d", "c")) == 2


def test_nothing_asked_gives_nothing() -> None:
    assert cached_rows(folder=FOLDER, keys=[], compute=Encoder()).shape == (0, 0)


def test_stored_vectors_are_read_without_a_second_copy() -> None:
    names = [str(number) for number in range(2_000)]
    rng = np.random.default_rng(0)
    stored = rng.standard_normal((2_000, 384), dtype=np.float32)
    cached_rows(folder=FOLDER, keys=keys(*names), compute=lambda some: stored[some])
    tracemalloc.start()
    rows = cached_rows(folder=FOLDER, keys=keys(*names), compute=Encoder())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(rows, stored.astype(np.float16).astype(np.float32))
    assert peak < 1.5 * rows.nbytes

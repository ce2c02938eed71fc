"""A thread reads ahead: same items, same errors, and it ends with its consumer."""

import threading
from collections.abc import Iterator
from itertools import count, islice

import pytest

from annotate.reading_ahead import read_ahead


def test_every_item_comes_in_order() -> None:
    assert list(read_ahead(iter(range(100)), depth=3)) == list(range(100))


def test_an_error_reaches_the_consumer_after_what_came_before_it() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise LookupError("gone")

    items = read_ahead(broken())
    assert next(items) == 1
    with pytest.raises(LookupError, match="gone"):
        next(items)


def test_a_consumer_that_stops_early_ends_the_reader() -> None:
    items = read_ahead(count())
    assert list(islice(items, 5)) == [0, 1, 2, 3, 4]
    items.close()  # type: ignore[attr-defined]
    assert "read-ahead" not in {thread.name for thread in threading.enumerate()}

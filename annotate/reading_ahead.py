"""Work on the next batch while the database is busy with the one before."""

from collections.abc import Iterator
from queue import Full, Queue
from threading import Event, Thread
from typing import TypeVar

T = TypeVar("T")
WAIT_S = 0.1


class _End:
    """What the reader puts last: nothing more, or the error that ended it."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def read_ahead(items: Iterator[T], *, depth: int = 2) -> Iterator[T]:
    """Yield what ``items`` yields, read by a thread that stays ``depth`` items ahead.

    The reader works in another thread and must not use Django's connection, which belongs to this
    one; a psycopg connection can be shared. It ends when the consumer does.
    """
    queue: Queue[T | _End] = Queue(maxsize=depth)
    stopped = Event()
    reader = Thread(target=_read, args=(items, queue, stopped), daemon=True, name="read-ahead")
    reader.start()
    try:
        while True:
            item = queue.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stopped.set()
        reader.join()


def _read(items: Iterator[T], queue: "Queue[T | _End]", stopped: Event) -> None:
    last = _End()
    try:
        for item in items:
            if not _put(queue, item, stopped):
                return
    except BaseException as error:  # raised again in the thread that consumes
        last = _End(error)
    _put(queue, last, stopped)


def _put(queue: "Queue[T | _End]", item: "T | _End", stopped: Event) -> bool:
    while not stopped.is_set():
        try:
            queue.put(item, timeout=WAIT_S)
        except Full:
            continue
        return True
    return False

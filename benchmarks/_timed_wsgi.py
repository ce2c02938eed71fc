"""The product's own WSGI application with its working time and queries in a header.

What is measured is the server's own work on a request: from the moment the application is called
until its answer is complete, without sockets and without waiting for a free thread.
"""

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from importlib import import_module
from time import perf_counter, thread_time
from typing import Any

from django.conf import settings
from django.db import connection

from config.wsgi import application as product

# Otherwise the first visitor of every process waits for all modules.
import_module(settings.ROOT_URLCONF)

StartResponse = Callable[..., Any]


class QueryCounter:
    """Counts the statements that go to PostgreSQL."""

    def __init__(self) -> None:
        self.n = 0

    def __call__(self, execute: Callable[..., Any], *call: Any) -> Any:
        self.n += 1
        return execute(*call)


def application(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """Serve a request; ``Server-Timing`` tells milliseconds, those computing, and queries."""
    counter, begun, busy = QueryCounter(), perf_counter(), thread_time()

    def start_timed(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        spent_ms = (perf_counter() - begun) * 1000
        busy_ms = (thread_time() - busy) * 1000
        timing = f"app;dur={spent_ms:.3f}, cpu;dur={busy_ms:.3f}, sql;desc={counter.n}"
        return start_response(status, [*headers, ("Server-Timing", timing)], *rest)

    with ExitStack() as stack:
        stack.enter_context(connection.execute_wrapper(counter))
        return product(environ, start_timed)

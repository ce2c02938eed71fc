"""A real browser against a live server, with a project to label in."""

import itertools
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, connections
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from pytest_django.live_server_helper import LiveServer

from annotate.models import Preference, Project
from tests.factories import make_comparison, make_member, make_project, make_user

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SETTLED = "#main[data-ready='true']"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def browser(chromium_path: str, django_db_setup: None) -> Iterator[Browser]:
    """One browser for all tests, closed before the test database goes."""
    # Playwright keeps an event loop running in this thread, which Django would take for async code.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=FLAGS)
        yield browser
        browser.close()
        # Playwright's loop has a context of its own, and in it Django opened another connection.
        connections.close_all()
    del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


@dataclass
class Desk:
    """A person at the workspace: their project, their page, and what they have stored."""

    project: Project
    user: User
    context: BrowserContext
    page: Page
    url: str

    def open(self) -> None:
        """Open the workspace and wait until keys are taken for the comparison shown."""
        self.page.goto(f"{self.url}/projects/{self.project.slug}/label/")
        self.ready()

    def ready(self) -> None:
        """Wait until a comparison is shown and the pause after it is over."""
        self.page.wait_for_selector(SETTLED)

    def press(self, *keys: str) -> None:
        """Press one key after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def says(self, words: str) -> None:
        """Wait until the status line contains the words."""
        expect(self.page.locator("#status")).to_contain_text(words)

    def stored(self, count: int) -> list[Preference]:
        """The person's labels, once the server has as many."""
        mine = Preference.objects.filter(annotator__user=self.user).order_by("pk")
        for _ in range(100):
            if mine.count() >= count:
                break
            self.page.wait_for_timeout(50)
        rows = list(mine)
        assert len(rows) == count
        return rows

    def last(self) -> Preference:
        """The person's only label."""
        return self.stored(1)[0]


DeskMaker = Callable[..., Desk]


@pytest.fixture
def desk(browser: Browser, live_server: LiveServer) -> Iterator[DeskMaker]:
    """Give a function that seats an annotator in front of a new project."""
    contexts: list[BrowserContext] = []

    def make(
        *,
        texts: tuple[str, ...] = ("First answer.", "Second answer."),
        n_comparisons: int = 1,
        comparison: dict[str, Any] | None = None,
        viewport: tuple[int, int] = (1280, 800),
        role: str = "annotator",
        **protocol: Any,
    ) -> Desk:
        project = make_project(protocol={"overlap": 2, **protocol})
        models = tuple(f"model-{number}" for number in range(len(texts)))
        for _ in range(n_comparisons):
            make_comparison(project, texts=texts, models=models, **(comparison or {}))
        user = make_user(f"ada-{next(_numbers)}")
        make_member(project, user, role=role)
        width, height = viewport
        context = browser.new_context(
            viewport={"width": width, "height": height}, has_touch=width < 600
        )
        contexts.append(context)
        sign_in(context, user, live_server.url)
        return Desk(project, user, context, context.new_page(), live_server.url)

    yield make
    for context in contexts:
        context.set_offline(True)
        context.close()
    wait_for_server()


def wait_for_server(seconds: float = 10) -> None:
    """Return when the live server has no request in hand, so that the tables can be emptied."""
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND state <> 'idle'"
    )
    deadline, quiet = time.monotonic() + seconds, 0
    while quiet < 3 and time.monotonic() < deadline:
        with connection.cursor() as cursor:
            cursor.execute(query)
            quiet = 0 if cursor.fetchone()[0] else quiet + 1
        time.sleep(0.05)


def sign_in(context: BrowserContext, user: User, url: str) -> None:
    """Give the browser a session of the user."""
    client = Client()
    client.force_login(user)
    name = settings.SESSION_COOKIE_NAME
    context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": url}])


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that fails its test when a script breaks or the policy blocks something."""
    complaints: list[str] = []
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.set_default_timeout(20_000)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: _note(message, complaints))
    yield page
    context.close()
    assert complaints == []


def _note(message: Any, complaints: list[str]) -> None:
    if message.type == "error":
        complaints.append(f"{message.text} {message.location}")

"""A real browser on a real server: pages, static files, database, broker and worker."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections
from playwright.sync_api import Browser, Page, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(autouse=True)
def allow_orm_beside_playwright(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test read rows: Playwright's loop in this thread makes Django think it is async."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


@pytest.fixture
def browser(chromium_path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=FLAGS)
        yield browser
        browser.close()
        # Playwright's loop has a context of its own, and with it Django opened another connection.
        connections.close_all()


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

"""What every test may use: real PostgreSQL and Redis, a real worker, and no network."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import psutil
import psycopg
import pytest
import redis as redis_client
from django.conf import settings
from django.test import override_settings
from psycopg import sql

from config import services

# A property holds or not; how long an example takes depends on what else the machine is doing.
hypothesis.settings.register_profile(
    "tandem", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tandem")

LOOPBACK = {"127.0.0.1", "localhost", "::1", "0.0.0.0", ""}
WorkerStarter = Callable[..., AbstractContextManager[subprocess.Popen[bytes]]]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put browser tests last: Playwright leaves an event loop running in this thread."""
    items.sort(key=lambda item: item.get_closest_marker("e2e") is not None)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections that would leave this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and address[0] not in LOOPBACK:
            pytest.fail(f"A test tried to reach {address!r}; tests stay on this machine.")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session", autouse=True)
def own_files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep this process's files apart: another's rows have the same ids in another database."""
    folder = tmp_path_factory.mktemp("files")
    with override_settings(MEDIA_ROOT=str(folder / "media"), TRAINING_DIR=folder / "training"):
        yield


@pytest.fixture(scope="session")
def real_services() -> None:
    """Find or start the PostgreSQL and Redis that the tests share with other sessions."""
    services.ensure_services()
    drop_abandoned_databases()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(real_services: None) -> None:
    """Let pytest-django create its database on the embedded server."""


@pytest.fixture
def redis(real_services: None) -> Iterator["redis_client.Redis"]:
    """Give the session's Redis, with this session's keys removed before and after."""
    client = redis_client.Redis.from_url(settings.REDIS_URL)
    forget_keys(client)
    yield client
    forget_keys(client)
    client.close()


@pytest.fixture
def celery_worker_process(transactional_db: None, redis: "redis_client.Redis") -> WorkerStarter:
    """Give a context manager that runs a real worker on the test database and queues."""
    return run_worker


@contextmanager
def run_worker(
    queues: str = "default,judges,features,training", concurrency: int = 1
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run `celery worker` in its own process until the block ends."""
    command = [sys.executable, "-m", "celery", "-A", "config", "worker", "-Q", queues]
    command += ["-c", str(concurrency), "-l", "WARNING", "--without-gossip", "--without-mingle"]
    process = subprocess.Popen(command, env=worker_environment(), cwd=settings.BASE_DIR)
    try:
        wait_for_worker(process)
        yield process
    finally:
        process.terminate()
        process.wait(30)


def worker_environment() -> dict[str, str]:
    """Return the environment in which another process sees this session's rows and queues."""
    database = settings.DATABASES["default"]
    host = database["HOST"].replace("/", "%2F")
    login = f"{database['USER']}:{database['PASSWORD']}@{host}:{database['PORT']}"
    return {
        **os.environ,
        "DATABASE_URL": f"postgresql://{login}/{database['NAME']}",
        "REDIS_URL": settings.REDIS_URL,
        "REDIS_PREFIX": settings.REDIS_PREFIX,
        "SECRET_KEY": settings.SECRET_KEY,
        "TANDEM_HOME": str(settings.DATA_DIR),
        "MEDIA_ROOT": str(settings.MEDIA_ROOT),
        "TRAINING_DIR": str(settings.TRAINING_DIR),
    }


def wait_for_worker(process: "subprocess.Popen[bytes]", seconds: float = 60) -> None:
    """Return once a worker answers on this session's broker."""
    from config.celery import app

    deadline = time.monotonic() + seconds
    while not app.control.ping(timeout=0.5):
        assert process.poll() is None, f"the worker ended with status {process.returncode}"
        assert time.monotonic() < deadline, f"no worker answered within {seconds} s"


def forget_keys(client: "redis_client.Redis") -> None:
    """Remove every key of this session, and what this process took of the rates there."""
    from annotate.api import throttling  # models can be imported only now

    throttling._taken.clear()
    for key in client.scan_iter(f"{settings.REDIS_PREFIX}*"):
        client.delete(key)


def drop_abandoned_databases() -> None:
    """Drop test databases whose session was killed before it could."""
    if not settings.EMBEDDED_POSTGRES:
        return
    query = "SELECT datname FROM pg_database WHERE datname LIKE 'test_tandem_%'"
    with psycopg.connect(services.database_url(settings.DATA_DIR), autocommit=True) as connection:
        for (name,) in connection.execute(query).fetchall():
            if not psutil.pid_exists(int(name.rsplit("_", 1)[1])):
                drop = sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name))
                connection.execute(drop)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Give the folder of the real comparison sets, or skip where it is absent."""
    beside = settings.BASE_DIR.parent / "shared" / "data"
    folder = Path(os.environ.get("TANDEM_DATA") or beside)
    if not (folder / "pandalm.jsonl").is_file():
        pytest.skip(f"The real sets are not at {folder}; set TANDEM_DATA to their folder.")
    return folder


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Give the browser that end-to-end tests drive, or skip where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    found = [path for path in map(shutil.which, names) if path]
    if not found:
        pytest.skip("Browser tests need Chromium or Chrome on PATH: apt-get install chromium.")
    return found[0]

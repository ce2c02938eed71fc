"""A database of its own and gunicorn on it, for benchmarks that need the whole product."""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from benchmarks._clients import Visitor

ROOT = Path(__file__).resolve().parents[1]
START_SECONDS = 60
TIMED, PLAIN = "benchmarks._timed_wsgi:application", "config.wsgi:application"
Connection = psycopg.Connection[tuple[object, ...]]


@contextmanager
def own_database(name: str) -> Iterator[str]:
    """Give the URL of a new database with all tables; it is dropped at the end."""
    from django.conf import settings

    from config import services

    services.ensure_services()
    main = settings.DATABASE_URL
    url = psycopg.conninfo.make_conninfo(main, dbname=name)
    with psycopg.connect(main, autocommit=True) as admin:
        drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        admin.execute(drop)
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            environment = environment_for(url)
            migrate = [sys.executable, "manage.py", "migrate", "-v0"]
            subprocess.run(migrate, cwd=ROOT, env=environment, check=True)
            yield url
        finally:
            admin.execute(drop)


def environment_for(url: str) -> dict[str, str]:
    """Return the environment in which the product uses that database."""
    from django.conf import settings

    parts = psycopg.conninfo.conninfo_to_dict(url)
    host = str(parts.get("host", "")).replace("/", "%2F")
    login = str(parts["user"]) + (f":{parts['password']}" if parts.get("password") else "")
    port = f":{parts['port']}" if parts.get("port") else ""
    return {
        **os.environ,
        "DATABASE_URL": f"postgresql://{login}@{host}{port}/{parts['dbname']}",
        "REDIS_URL": settings.REDIS_URL,
        "REDIS_PREFIX": f"{parts['dbname']}:",
        "SECRET_KEY": settings.SECRET_KEY,
        "API_RATE": "1000000/min",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
    }


@contextmanager
def gunicorn(
    url: str, *, port: int, processes: int, threads: int, application: str = TIMED
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run the web server on a database until the block ends."""
    command = [sys.executable, "-m", "gunicorn", "-c", "python:config.gunicorn_conf", "--preload"]
    command += ["-b", f"127.0.0.1:{port}", "-w", str(processes), "--threads", str(threads)]
    process = subprocess.Popen([*command, application], cwd=ROOT, env=environment_for(url))
    try:
        wait_for(port, process)
        yield process
    finally:
        process.terminate()
        process.wait(30)


_BEAT = """
import time
import django
django.setup()
from annotate.services.rendered import render_ahead
while True:
    render_ahead()
    time.sleep(5)
"""


@contextmanager
def rendering_ahead(url: str) -> Iterator[None]:
    """Do until the block ends what the product's beat has a worker do every five seconds."""
    environment = {**environment_for(url), "DJANGO_SETTINGS_MODULE": "config.settings"}
    process = subprocess.Popen([sys.executable, "-c", _BEAT], cwd=ROOT, env=environment)
    try:
        yield
    finally:
        process.kill()
        process.wait(30)


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def wait_for(port: int, process: "subprocess.Popen[bytes]", seconds: float = START_SECONDS) -> None:
    """Return once somebody answers on the port.

    Raises
    ------
    RuntimeError
        If the server ends, or does not answer in time.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"The web server does not answer on port {port}.")


_SIGN_IN = """
import sys
import django
django.setup()
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
for user in User.objects.filter(pk__in=[int(pk) for pk in sys.argv[1:]]).order_by("pk"):
    session = SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.create()
    sys.stdout.write(session.session_key + chr(10))
"""


def sign_in(url: str, user_ids: list[int]) -> list[Visitor]:
    """Open a session for each user, in a process that uses that database."""
    done = subprocess.run(
        [sys.executable, "-c", _SIGN_IN, *map(str, user_ids)],
        cwd=ROOT,
        env={**environment_for(url), "DJANGO_SETTINGS_MODULE": "config.settings"},
        check=True,
        capture_output=True,
        text=True,
    )
    keys = done.stdout.split()
    return [Visitor(key, secrets.token_hex(16), number) for number, key in enumerate(keys)]

"""Run all of Tandem in the foreground."""

import fcntl
import os
import signal
import socket
import sys
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command, get_commands
from django.core.management.base import BaseCommand

from config.celery import return_unfinished_tasks
from config.healthcheck import allowed_header, is_healthy, local_url
from config.services import ensure_services
from config.static_files import collect_if_changed
from config.supervisor import Program, Supervisor

GENERAL_QUEUES = ("default", "judges", "features")


class Command(BaseCommand):
    """Start web server and workers, with PostgreSQL and Redis when no URL names others."""

    help = "Run web server, workers and (unless their URLs are set) PostgreSQL and Redis."
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        """Prepare the installation and supervise its processes until a signal."""
        signal.signal(signal.SIGTERM, leave)
        lock = self.lock_data_dir()
        check_port_is_free()
        try:
            self.prepare()
        except KeyboardInterrupt:
            leave(signal.SIGINT, None)
        # `tend` finds the embedded servers running, or starts one that was killed.
        Supervisor(
            programs(),
            is_healthy=site_answers,
            on_healthy=self.greet,
            tend=ensure_services,
            out=sys.stdout,
        ).run()
        os.close(lock)

    def lock_data_dir(self) -> int:
        """Take the lock that only one `up` per data directory can hold."""
        settings.DATA_DIR.mkdir(parents=True, exist_ok=True)
        lock = os.open(settings.DATA_DIR / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            running = os.read(lock, 200).decode() or "elsewhere"
            message = f"Tandem already runs from {settings.DATA_DIR} ({running})."
            raise CommandError(f"{message} Stop it first, or set TANDEM_HOME.") from None
        os.ftruncate(lock, 0)
        os.write(lock, f"process {os.getpid()}, {site_url()}".encode())
        return lock

    def prepare(self) -> None:
        """Bring servers, tables, static files and demo project to where a start needs them."""
        if settings.EMBEDDED_POSTGRES or settings.EMBEDDED_REDIS:
            self.stdout.write(f"Data is kept in {settings.DATA_DIR}")
        ensure_services()
        call_command("migrate", interactive=False, verbosity=0)
        if not settings.DEBUG:
            collect_if_changed(Path(settings.STATIC_ROOT))
        self.load_demo()

    def load_demo(self) -> None:
        """Load the demo project into an installation that has no project."""
        project = apps.get_model("annotate", "Project")
        if "load_demo" in get_commands() and not project.objects.exists():
            self.stdout.write("Loading the demo project …")
            call_command("load_demo", stdout=self.stdout)

    def greet(self) -> None:
        """Print where Tandem is and who may log in."""
        self.stdout.write(f"\nTandem is ready at {site_url()}")
        for name in demo_logins():
            self.stdout.write(f"  demo login: {name} / {settings.DEMO_PASSWORD}")
        self.stdout.write("Press Ctrl-C to stop.\n")
        self.stdout.flush()


def leave(signum: int, _frame: FrameType | None) -> NoReturn:
    """Exit the ordinary way on a signal, so that embedded servers are stopped too."""
    sys.exit(128 + signum)


def site_url() -> str:
    """Return the address to open in a browser."""
    return local_url(settings.HOST, settings.PORT)


def check_port_is_free() -> None:
    """Refuse to start with a sentence when another program listens on the port."""
    family = socket.AF_INET6 if ":" in settings.HOST else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.HOST, settings.PORT))
        except OSError as error:
            message = f"Port {settings.PORT} on {settings.HOST} cannot be used ({error.strerror})."
            remedy = "Stop the program that uses it, or choose another: PORT=8001 make run"
            raise CommandError(f"{message} {remedy}") from None


def site_answers() -> bool:
    """Ask the running site whether it can serve."""
    header = allowed_header(settings.ALLOWED_HOSTS)
    return is_healthy(settings.HOST, settings.PORT, host_header=header)


def demo_logins() -> list[str]:
    """Return the demo accounts whose password is still the installation's demo password."""
    users = get_user_model().objects.filter(username__in=settings.DEMO_USERNAMES)
    return [
        user.get_username()
        for user in users.order_by("pk")
        if user.check_password(settings.DEMO_PASSWORD)
    ]


def programs() -> list[Program]:
    """Return the processes of one installation."""
    python = (sys.executable, "-m")
    serve = ("gunicorn", "-c", "python:config.gunicorn_conf", "config.wsgi")
    result = [
        Program("web", (*python, *serve)),
        worker("general", GENERAL_QUEUES, settings.WORKER_PROCESSES),
        worker("training", ("training",), 1),
    ]
    if settings.CELERY_BEAT_SCHEDULE:
        beat = ("celery", "-q", "-A", "config", "beat", "--pidfile=")
        result.append(Program("beat", (*python, *beat)))
    return result


def worker(name: str, queues: tuple[str, ...], n_processes: int) -> Program:
    """Return a Celery worker on `queues`; torch is loaded only in its pool processes."""
    options = ("-n", f"{name}@%h", "-Q", ",".join(queues), "-c", str(n_processes))
    calm = ("-l", "WARNING", "--without-gossip", "--without-mingle")
    # Root is a fresh container's only user; pickled tasks, the reason for the warning, are refused.
    quiet = ("-W", "ignore:You're running the worker with superuser privileges")
    celery = ("-m", "celery", "-q", "-A", "config", "worker")
    command = (sys.executable, *quiet, *celery, *options, *calm)

    def before_start() -> None:
        # No worker elsewhere can reach an embedded Redis, so whatever these queues had handed
        # out belongs to a worker that is gone.
        if settings.EMBEDDED_REDIS:
            return_unfinished_tasks(frozenset(queues))

    # SIGQUIT is Celery's quick stop: a task still running goes back to its queue.
    noise = ("worker: Hitting Ctrl+C", "worker: Cold shutdown")
    return Program(name, command, signal.SIGQUIT, noise, before_start)

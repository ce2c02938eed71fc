"""Embedded PostgreSQL and Redis are found, started, shared, recovered and stopped."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from config import services

ROOT = Path(__file__).resolve().parents[2]


def start(home: Path) -> tuple[str, str]:
    return services.ensure_postgres(home, durable=False), services.ensure_redis(home)


def postmaster(home: Path) -> int:
    return int((home / "postgres" / "postmaster.pid").read_text().split()[0])


def gone(pid: int, seconds: float = 10) -> bool:
    """Wait until a process is gone; a zombie counts, as containers may not reap it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    assert gone(pid)


def test_sockets_live_in_the_data_directory_when_its_path_is_short() -> None:
    assert services.socket_dir(Path("/srv/tandem")) == Path("/srv/tandem/run")


def test_sockets_of_a_long_path_move_to_a_short_folder_of_their_own() -> None:
    first, second = (services.socket_dir(Path("/x" * 60 + name)) for name in ("/a", "/b"))
    assert first != second
    assert len(str(first / services.POSTGRES_SOCKET)) < 100


def test_urls_are_known_before_anything_runs(tmp_path: Path) -> None:
    assert services.database_url(Path("/d")) == "postgresql://postgres@/tandem?host=%2Fd%2Frun"
    assert services.redis_url(Path("/d")) == "unix:///d/run/redis.sock"


@pytest.mark.slow
def test_both_servers_start_keep_their_data_and_stop_with_the_last_user(home: Path) -> None:
    database, broker = start(home)
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS number")
    redis.Redis.from_url(broker).rpush("queue", "task")
    pid = postmaster(home)

    services.release(home)
    assert gone(pid)
    assert not (home / "postgres" / "postmaster.pid").exists()

    database, broker = start(home)
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (42,)
    assert redis.Redis.from_url(broker).lrange("queue", 0, -1) == [b"task"]


@pytest.mark.slow
def test_a_second_process_shares_the_servers_and_the_last_one_stops_them(home: Path) -> None:
    start(home)
    pid = postmaster(home)
    script = (
        "import sys, pathlib; from config import services;"
        f"services.ensure_postgres(pathlib.Path({str(home)!r}));"
        "print('sharing', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"sharing\n"
        services.release(home)
        assert not gone(pid, seconds=0.5)
        other.communicate()
    assert gone(pid)


@pytest.mark.slow
def test_servers_killed_with_their_pid_files_left_start_again_with_their_data(home: Path) -> None:
    database, broker = start(home)
    client = redis.Redis.from_url(broker)
    client.rpush("queue", "task")
    server = client.info("server")["process_id"]
    kill(postmaster(home))
    kill(server)

    database, broker = start(home)
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    assert redis.Redis.from_url(broker).lrange("queue", 0, -1) == [b"task"]


@pytest.mark.slow
def test_a_stale_lock_that_names_another_living_program_is_set_aside(home: Path) -> None:
    start(home)
    lock = home / "postgres" / "postmaster.pid"
    text = lock.read_text()
    services.release(home)
    lock.write_text(text.replace(text.split()[0], str(os.getpid()), 1))
    database = services.ensure_postgres(home, durable=False)
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.mark.slow
def test_a_first_start_that_was_cut_off_is_begun_again(home: Path) -> None:
    (home / "postgres" / "base").mkdir(parents=True)
    database = services.ensure_postgres(home, durable=False)
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_data_of_another_postgresql_is_refused_with_a_remedy(home: Path) -> None:
    (home / "postgres").mkdir(parents=True)
    (home / "postgres" / "PG_VERSION").write_text("15\n")
    with pytest.raises(SystemExit, match=r"written by PostgreSQL 15, this is 18; dump it"):
        services.ensure_postgres(home)


def test_a_data_directory_that_cannot_be_made_is_refused_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit, match=r"cannot be written .* set TANDEM_HOME elsewhere"):
        services.ensure_redis(tmp_path / "file" / "data")

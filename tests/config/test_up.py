"""`manage.py up` runs the whole of Tandem, and says in a sentence why it cannot."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def port() -> int:
    """Give a port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def up(home: Path, port: int) -> "subprocess.Popen[str]":
    kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    return subprocess.Popen(
        [sys.executable, "manage.py", "up"],
        env={**kept, "TANDEM_HOME": str(home), "PORT": str(port), "PYTHONUNBUFFERED": "1"},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def running(home: Path, port: int) -> Iterator["subprocess.Popen[str]"]:
    """Give an `up` that has said that it is ready."""
    process = up(home, port)
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if "Press Ctrl-C to stop." in line:
            break
    assert any("Tandem is ready at" in line for line in seen), "".join(seen)
    yield process
    process.kill()
    process.communicate()


def left_behind(home: Path) -> list[str]:
    """Return the living processes whose command names the data directory."""
    found = psutil.process_iter(["cmdline", "status"])
    living = [each.info for each in found if each.info["status"] != psutil.STATUS_ZOMBIE]
    lines = [" ".join(info["cmdline"] or []) for info in living]
    return [line for line in lines if str(home) in line]


@pytest.mark.slow
def test_up_serves_refuses_a_second_start_and_leaves_nothing_behind(
    running: "subprocess.Popen[str]", home: Path, port: int
) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz/", timeout=5) as response:
        assert response.status == 200

    second, _ = up(home, port).communicate(timeout=30)
    address = f"http://127.0.0.1:{port}/"
    assert f"Tandem already runs from {home} (process {running.pid}, {address})." in second
    assert "Traceback" not in second

    children = psutil.Process(running.pid).children(recursive=True)
    running.send_signal(signal.SIGINT)
    assert running.wait(timeout=20) == 0
    _, alive = psutil.wait_procs(children, timeout=1)
    assert alive == []
    assert left_behind(home) == []


def test_up_on_a_taken_port_says_so_and_how_to_choose_another(home: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        process = up(home, taken)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 1
    assert f"Port {taken} on 127.0.0.1 cannot be used (Address already in use)." in output
    assert "PORT=8001 make run" in output
    assert "Traceback" not in output
    assert not (home / "postgres").exists()

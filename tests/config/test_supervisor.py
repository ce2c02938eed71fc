"""The supervisor starts again what dies, stops cleanly, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from config.supervisor import describe_exit

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = textwrap.dedent(
    """
    import sys
    from config.supervisor import Program, Supervisor
    code = sys.argv[1]
    program = Program("child", (sys.executable, "-uc", code), noise=("quiet",))
    say = lambda: print("healthy", flush=True)
    Supervisor([program], is_healthy=lambda: True, on_healthy=say, tend=lambda: None,
               out=sys.stdout).run()
    """
)
SLEEP = "import os, time; print('pid', os.getpid()); time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"


def supervise(code: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, code], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )


def read_until(process: "subprocess.Popen[str]", text: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return line
    raise AssertionError(f"the output ended without {text!r}")


def child_pid(process: "subprocess.Popen[str]") -> int:
    return int(read_until(process, "pid ").rsplit(" ", 1)[1])


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def finish(process: "subprocess.Popen[str]", signum: int = signal.SIGTERM) -> tuple[int, str]:
    process.send_signal(signum)
    output, _ = process.communicate(timeout=20)
    return process.returncode, output


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_child_and_ends_with_status_zero(signum: int) -> None:
    process = supervise(SLEEP)
    pid = child_pid(process)
    status, output = finish(process, signum)
    assert status == 0
    assert "Stopping; press Ctrl-C again to stop at once." in output
    assert not alive(pid)


def test_a_killed_child_is_named_and_started_again() -> None:
    process = supervise(SLEEP)
    first = child_pid(process)
    os.kill(first, signal.SIGKILL)
    assert "killed by SIGKILL" in read_until(process, "ended unexpectedly")
    assert "starts again in 1 s" in read_until(process, "starts again")
    assert child_pid(process) != first
    finish(process)


def test_a_child_that_keeps_failing_is_started_less_and_less_often() -> None:
    process = supervise("raise SystemExit(3)")
    assert "exit status 3" in read_until(process, "ended unexpectedly")
    assert "in 1 s" in read_until(process, "starts again")
    assert "in 2 s" in read_until(process, "starts again")
    finish(process)


def test_a_second_signal_ends_a_child_that_refuses_to_stop() -> None:
    process = supervise(STUBBORN)
    pid = child_pid(process)
    process.send_signal(signal.SIGINT)
    read_until(process, "Stopping")
    begun = time.monotonic()
    status, _ = finish(process, signal.SIGINT)
    assert status == 0
    assert time.monotonic() - begun < 3
    assert not alive(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="Only Linux ties a child to its parent.")
def test_a_child_dies_with_a_supervisor_that_is_killed() -> None:
    process = supervise(SLEEP)
    pid = child_pid(process)
    process.kill()
    process.communicate()
    time.sleep(0.5)
    assert not alive(pid)


def test_output_carries_the_childs_name_and_leaves_out_blank_and_noisy_lines() -> None:
    process = supervise("print('one\\n\\nquiet please\\ntwo'); import time; time.sleep(60)")
    assert read_until(process, "one") == "child | one\n"
    assert process.stdout is not None
    following = (line for line in process.stdout if line != "healthy\n")
    assert next(following) == "child | two\n"
    finish(process)


@pytest.mark.parametrize(
    ("code", "words"), [(0, "exit status 0"), (3, "exit status 3"), (-9, "killed by SIGKILL")]
)
def test_an_exit_is_described_for_people(code: int, words: str) -> None:
    assert describe_exit(code) == words

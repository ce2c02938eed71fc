"""A start with wrong or missing settings ends with one sentence; the safe ones hold."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config import settings

ROOT = Path(__file__).resolve().parents[2]


def start_with(environment: dict[str, str], home: Path) -> subprocess.CompletedProcess[str]:
    kept = {"PATH": os.environ["PATH"], "TANDEM_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "manage.py", "diffsettings"],
        env={**kept, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        (
            {"DATABASE_URL": "postgresql://u@h/d"},
            "tandem: SECRET_KEY is not set; with DATABASE_URL and without DEBUG it must be.\n",
        ),
        ({"PORT": "eighty"}, "tandem: PORT='eighty' is not a whole number.\n"),
        ({"DEBUG": "maybe"}, "tandem: DEBUG='maybe' is not a switch; use 1 or 0.\n"),
        (
            {"LOG_LEVEL": "loud"},
            "tandem: LOG_LEVEL='LOUD' is not one of DEBUG, INFO, WARNING, ERROR.\n",
        ),
    ],
)
def test_a_refused_start_prints_one_sentence_and_no_traceback(
    environment: dict[str, str], sentence: str, tmp_path: Path
) -> None:
    done = start_with(environment, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", sentence)


def test_an_offline_command_starts_no_server(tmp_path: Path) -> None:
    done = start_with({}, tmp_path)
    assert done.returncode == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo_password", "secret_key"]


def test_debug_is_off_unless_asked_for(tmp_path: Path) -> None:
    assert "DEBUG = True" not in start_with({}, tmp_path).stdout
    assert "DEBUG = True" in start_with({"DEBUG": "1"}, tmp_path).stdout


def test_the_content_security_policy_allows_nothing_inline() -> None:
    directives = settings.CONTENT_SECURITY_POLICY["DIRECTIVES"]
    values = {value for sources in directives.values() for value in sources}
    assert values == {"'self'", "'none'", "data:"}
    assert directives["default-src"] == ["'none'"]

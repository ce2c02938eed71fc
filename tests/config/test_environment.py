"""The environment is read strictly, and a wrong value ends the start with one sentence."""

import stat
from pathlib import Path

import pytest

from config import environment


@pytest.fixture
def clean_env(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Give a monkeypatch without the variables that these tests set."""
    for name in ("SWITCH", "NUMBER", "NAMES", "TOKEN", "TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1", True), ("TRUE", True), ("on", True), ("0", False), ("No", False), ("", True)],
)
def test_a_switch_is_read_in_any_case_and_empty_means_default(
    clean_env: pytest.MonkeyPatch, value: str, expected: bool
) -> None:
    clean_env.setenv("SWITCH", value)
    assert environment.env_bool("SWITCH", default=True) is expected


@pytest.mark.parametrize("value", ["maybe", "2", "t rue"])
def test_a_wrong_switch_stops_the_start_and_names_the_variable(
    clean_env: pytest.MonkeyPatch, value: str
) -> None:
    clean_env.setenv("SWITCH", value)
    with pytest.raises(SystemExit, match=r"tandem: SWITCH=.* is not a switch; use 1 or 0\."):
        environment.env_bool("SWITCH", default=False)


@pytest.mark.parametrize(("value", "expected"), [("8001", 8001), (" 1 ", 1), ("", 7)])
def test_a_number_is_read_or_its_default_taken(
    clean_env: pytest.MonkeyPatch, value: str, expected: int
) -> None:
    clean_env.setenv("NUMBER", value)
    assert environment.env_int("NUMBER", 7) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [("8k", "not a whole number"), ("1.5", "not a whole number"), ("70000", "outside 1 to 65535")],
)
def test_a_wrong_number_stops_the_start_with_the_reason(
    clean_env: pytest.MonkeyPatch, value: str, message: str
) -> None:
    clean_env.setenv("NUMBER", value)
    with pytest.raises(SystemExit, match=message):
        environment.env_int("NUMBER", 8000, low=1, high=65535)


def test_names_are_split_at_commas_and_trimmed(clean_env: pytest.MonkeyPatch) -> None:
    clean_env.setenv("NAMES", " a.example , b.example,")
    assert environment.env_list("NAMES", []) == ["a.example", "b.example"]


def test_a_secret_can_come_from_a_file(clean_env: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    clean_env.setenv("TOKEN_FILE", str(tmp_path / "token"))
    assert environment.env_secret("TOKEN") == "s3cret"


def test_a_missing_secret_file_stops_the_start(
    clean_env: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clean_env.setenv("TOKEN_FILE", str(tmp_path / "none"))
    with pytest.raises(SystemExit, match=r"TOKEN_FILE=.* cannot be read: No such file"):
        environment.env_secret("TOKEN")


def test_a_secret_given_twice_stops_the_start(clean_env: pytest.MonkeyPatch) -> None:
    clean_env.setenv("TOKEN", "a")
    clean_env.setenv("TOKEN_FILE", "b")
    with pytest.raises(SystemExit, match="both set"):
        environment.env_secret("TOKEN")


def test_a_kept_secret_stays_the_same_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "new" / "key"
    first = environment.kept_secret(path, 32)
    assert environment.kept_secret(path, 32) == first
    assert len(first) == 64
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_a_database_url_keeps_its_parts_and_options() -> None:
    url = "postgresql://ann:p%40ss@db.example:5433/tandem?sslmode=require"
    database = environment.database_from(url, testing=True)
    main = {key: database[key] for key in ("NAME", "USER", "PASSWORD", "HOST", "PORT", "OPTIONS")}
    assert main == {
        "NAME": "tandem",
        "USER": "ann",
        "PASSWORD": "p@ss",
        "HOST": "db.example",
        "PORT": "5433",
        "OPTIONS": {"sslmode": "require"},
    }


@pytest.mark.parametrize("url", ["sqlite:///x", "postgresql://host", "nonsense", "mysql://a/b"])
def test_a_url_that_is_not_a_postgresql_database_stops_the_start(url: str) -> None:
    with pytest.raises(SystemExit, match="DATABASE_URL must look like"):
        environment.database_from(url, testing=True)

"""Where a judge may be asked, and with which key."""

import socket
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from annotate.errors import ApplicationError
from modeling.judges.addresses import address_check, key_name_check, key_read


@pytest.fixture(autouse=True)
def closed(settings: Settings) -> None:
    """No private host is allowed."""
    settings.JUDGE_ALLOWED_PRIVATE_HOSTS = []


def resolve_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let every name lead to these addresses."""

    def answer(_host: str, port: int, **_options: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", answer)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/v1",
        "http://10.0.0.5/v1",
        "http://192.168.1.1:8000/v1",
        "http://169.254.169.254/latest",
        "http://0.0.0.0/v1",
        "http://[::1]:8000/v1",
        "http://[fd00::1]/v1",
        "http://[::ffff:127.0.0.1]/v1",
        "http://localhost:11434/v1",
    ],
)
def test_a_private_address_is_refused_with_the_remedy(url: str) -> None:
    with pytest.raises(ApplicationError, match="JUDGE_ALLOWED_PRIVATE_HOSTS") as refusal:
        address_check(url)
    assert refusal.value.field == "base_url"


def test_a_listed_host_is_allowed(settings: Settings) -> None:
    settings.JUDGE_ALLOWED_PRIVATE_HOSTS = ["localhost"]
    address_check("http://localhost:11434/v1")


def test_a_public_name_with_one_private_address_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolve_to(monkeypatch, "93.184.216.34", "10.1.2.3")
    with pytest.raises(ApplicationError, match=r"10\.1\.2\.3"):
        address_check("https://judge.example/v1")


def test_a_public_name_with_public_addresses_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    resolve_to(monkeypatch, "93.184.216.34")
    address_check("https://judge.example/v1")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/v1", "judge.example/v1", "http://"])
def test_what_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises(ApplicationError, match="http or https"):
        address_check(url)


def test_a_name_without_address_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: Any, **_options: Any) -> None:
        raise socket.gaierror("no such host")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(ApplicationError, match=r"nowhere\.invalid has no address"):
        address_check("https://nowhere.invalid/v1")


@pytest.mark.parametrize(
    "name", ["SECRET_KEY", "DATABASE_URL", "AWS_SECRET_ACCESS_KEY", "openai_api_key", "X_API_KEY=1"]
)
def test_no_other_secret_can_be_sent_to_an_endpoint(name: str) -> None:
    with pytest.raises(ApplicationError, match="_API_KEY"):
        key_name_check(name)


def test_a_key_comes_from_its_variable_or_its_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ONE_API_KEY", "k1")
    (tmp_path / "key").write_text("k2\n")
    monkeypatch.setenv("TWO_API_KEY_FILE", str(tmp_path / "key"))
    assert (key_read("ONE_API_KEY"), key_read("TWO_API_KEY"), key_read("")) == ("k1", "k2", "")


def test_a_missing_key_says_where_to_set_it() -> None:
    with pytest.raises(ApplicationError, match=r"ABSENT_API_KEY.*restart the workers"):
        key_read("ABSENT_API_KEY")

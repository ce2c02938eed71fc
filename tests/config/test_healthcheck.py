"""The health check asks the address and with the name that the server accepts."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from config.healthcheck import allowed_header, is_healthy, local_url


class OnlyTandem(BaseHTTPRequestHandler):
    """Answer 200 to the right path and name, 400 to anything else."""

    def do_GET(self) -> None:
        """Answer as Django does under ALLOWED_HOSTS."""
        right = self.path == "/healthz/" and self.headers["Host"] == "tandem.example"
        self.send_response(200 if right else 400)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def server_port() -> Iterator[int]:
    """Give the port of a server that answers one name only."""
    with HTTPServer(("127.0.0.1", 0), OnlyTandem) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_a_server_that_answers_200_is_healthy(server_port: int) -> None:
    assert is_healthy("127.0.0.1", server_port, host_header="tandem.example")


def test_a_server_that_refuses_is_not_healthy(server_port: int) -> None:
    assert not is_healthy("127.0.0.1", server_port, host_header="other.example")


def test_a_port_where_nobody_listens_is_not_healthy(server_port: int) -> None:
    assert not is_healthy("127.0.0.1", 1, host_header="tandem.example")


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000/"),
        ("0.0.0.0", "http://127.0.0.1:8000/"),
        ("::", "http://[::1]:8000/"),
    ],
)
def test_a_server_on_every_interface_is_asked_on_loopback(host: str, url: str) -> None:
    assert local_url(host, 8000) == url


@pytest.mark.parametrize(
    ("allowed", "header"),
    [(["tandem.example", "b"], "tandem.example"), ([".example"], "example"), (["*"], "localhost")],
)
def test_the_host_header_is_one_that_is_allowed(allowed: list[str], header: str) -> None:
    assert allowed_header(allowed) == header

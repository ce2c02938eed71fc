"""Ask this machine's web server whether it can serve; the exit status is the answer."""

import os
import sys
import urllib.error
import urllib.request


def local_url(host: str, port: int) -> str:
    """Return the address under which this machine reaches a server that listens on `host`."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def is_healthy(host: str, port: int, *, host_header: str) -> bool:
    """Return whether `/healthz/` answers 200."""
    url = f"{local_url(host, port)}healthz/"
    request = urllib.request.Request(url, headers={"Host": host_header})
    try:
        with urllib.request.urlopen(request, timeout=3) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def allowed_header(allowed_hosts: list[str]) -> str:
    """Return a Host header that Django accepts under `allowed_hosts`."""
    return allowed_hosts[0].lstrip(".").replace("*", "localhost")


if __name__ == "__main__":
    hosts = (os.environ.get("ALLOWED_HOSTS") or "localhost").split(",")
    place = os.environ.get("HOST") or "127.0.0.1", int(os.environ.get("PORT") or "8000")
    sys.exit(not is_healthy(*place, host_header=allowed_header(hosts)))

"""The same labelling on Tandem and on Label Studio, one client each, turn and turn about.

Label Studio is started from a virtual environment of its own with its default database (SQLite)
and filled through its own API; Tandem runs as in ``next_item.py``. Each round asks both for a
comparison and submits a verdict to both, so that whatever else the machine does falls on both. The
same few lines ask both.

In such rounds each finds the processor's caches full of the other's work. Stretches of rounds with
one and then with the other show both as they are where they run alone.

``python benchmarks/label_studio.py /path/to/venv/bin/label-studio [--quick] [--sizes N …]``
"""

import argparse
import json
import math
import os
import random
import re
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, cast

import httpx2 as httpx
import psycopg

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from benchmarks._clients import ASK, Site, Visitor, verdict  # noqa: E402
from benchmarks._filled_project import fill_project  # noqa: E402
from benchmarks._server import (  # noqa: E402
    PLAIN,
    free_port,
    gunicorn,
    own_database,
    rendering_ahead,
    sign_in,
    wait_for,
)

SLUG = "side-by-side"
TOKEN = "0123456789abcdef" * 2 + "01234567"
TOKEN_HEADER = {"Authorization": f"Token {TOKEN}"}
CHUNK = 5_000
MIGRATION_SECONDS = 300
N_WARM = 5
STRETCH = 20
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
CLOSES = re.compile(rb"(?i)\r\nconnection: *close")
CONFIG = """<View><Text name="prompt" value="$prompt"/><Pairwise name="verdict" toName="a,b"/>
<Text name="a" value="$a"/><Text name="b" value="$b"/></View>"""
# The milliseconds of asking and of submitting.
Times = tuple[float, float]
Round = Callable[[], Times]
RESULT = [
    {
        "from_name": "verdict",
        "to_name": "a",
        "type": "pairwise",
        "value": {"selected": "left"},
    }
]


@contextmanager
def label_studio(program: Path) -> Iterator[httpx.Client]:
    """Run Label Studio on an empty data directory until the block ends."""
    port = free_port()
    with tempfile.TemporaryDirectory() as data:
        environment = os.environ | {
            "LABEL_STUDIO_BASE_DATA_DIR": data,
            "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
            "COLLECT_ANALYTICS": "False",
            "LATEST_VERSION_CHECK": "0",
        }
        environment.pop("DJANGO_SETTINGS_MODULE", None)
        login = ["--username", "bench@example.org", "--password", "benchmark-only"]
        command = [str(program), "start", "--no-browser", "--port", str(port), *login]
        log = subprocess.DEVNULL
        process = subprocess.Popen(
            [*command, "--user-token", TOKEN], env=environment, stdout=log, stderr=log
        )
        try:
            wait_for(port, process, MIGRATION_SECONDS)
            base = f"http://127.0.0.1:{port}"
            with httpx.Client(base_url=base, headers=TOKEN_HEADER, timeout=600) as client:
                yield client
        finally:
            process.terminate()
            process.wait(30)


def rival_project(client: httpx.Client, n_comparisons: int) -> tuple[int, float]:
    """Make a project of that size through the API; return its id and rows per second."""
    made = client.post("/api/projects/", json={"title": SLUG, "label_config": CONFIG})
    project = int(made.raise_for_status().json()["id"])
    begun = time.perf_counter()
    for start in range(0, n_comparisons, CHUNK):
        rows = [_row(n) for n in range(start, min(start + CHUNK, n_comparisons))]
        client.post(f"/api/projects/{project}/import", json=rows).raise_for_status()
    return project, n_comparisons / (time.perf_counter() - begun)


def _row(number: int) -> dict[str, str]:
    """About the 900 characters that ``_filled_project`` gives a comparison."""
    text = f"Some **words** about {number} and `code`, then a list: " * 10
    return {"prompt": f"Question {number}?", "a": f"## Answer A\n\n{text}", "b": f"## B\n\n{text}"}


class Caller:
    """One client on one connection that stays open as a browser's does.

    A library's client spends on reading headers a good part of what Tandem spends on the whole
    request, and none of it is the server's: here the clock runs from the first byte sent to the
    last byte received.
    """

    def __init__(self, port: int, headers: dict[str, str]) -> None:
        self._port, self._line = port, cast(socket.socket | None, None)
        named = {"Host": f"127.0.0.1:{port}", "Content-Type": "application/json", **headers}
        self._headers = "".join(f"{name}: {value}\r\n" for name, value in named.items())

    def post(self, path: str, body: Any) -> tuple[dict[str, Any], float]:
        """Send one request; return the answer and the milliseconds until it was here."""
        content = json.dumps(body)
        request = f"POST {path} HTTP/1.1\r\n{self._headers}Content-Length: {len(content)}\r\n\r\n"
        message = (request + content).encode()
        begun = time.perf_counter()
        head, text = self._exchange(message)
        spent_ms = (time.perf_counter() - begun) * 1000
        if int(head.split()[1]) >= 400:
            raise RuntimeError(f"{path} was answered {head.splitlines()[0]!r}: {text[:300]!r}")
        return json.loads(text), spent_ms

    def _exchange(self, message: bytes) -> tuple[bytes, bytes]:
        if self._line is None or self._is_closed(self._line):
            self._line = socket.create_connection(("127.0.0.1", self._port), timeout=600)
            self._line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._line.sendall(message)
        head, mark, text = self._received(b"").partition(b"\r\n\r\n")
        while not mark:
            head, mark, text = self._received(head).partition(b"\r\n\r\n")
        length = int(LENGTH.search(head)[1])  # type: ignore[index]
        while len(text) < length:
            text = self._received(text)
        if CLOSES.search(head):
            self._line.close()
            self._line = None
        return head, text

    @staticmethod
    def _is_closed(line: socket.socket) -> bool:
        """Whether the server gave up the connection after a pause; a browser then opens another."""
        return bool(select.select([line], [], [], 0)[0])

    def _received(self, before: bytes) -> bytes:
        assert self._line is not None
        more = self._line.recv(2**20)
        if not more:
            raise ConnectionError("The server closed the connection before its answer was whole.")
        return before + more


def rival_round(caller: Caller, project: int) -> Times:
    """Ask for the next task and submit it; return both times in milliseconds."""
    # What its own page calls when somebody labels all tasks.
    task, next_ms = caller.post(f"/api/dm/actions?id=next_task&project={project}", {})
    url = f"/api/tasks/{task['id']}/annotations/?project={project}"
    _, submit_ms = caller.post(url, {"result": RESULT, "lead_time": 9.0})
    return next_ms, submit_ms


def own_caller(port: int, who: Visitor) -> Caller:
    """Return a signed-in browser's connection to Tandem."""
    cookie = f"sessionid={who.session}; csrftoken={who.csrf}"
    return Caller(port, {"Cookie": cookie, "X-CSRFToken": who.csrf})


def own_round(caller: Caller, site: Site, rng: random.Random) -> Times:
    """Ask Tandem for the next comparison and submit it; return both times in milliseconds."""
    task, next_ms = caller.post(site.path("next/"), ASK)
    lease = task["assignment"]["id"]
    _, submit_ms = caller.post(site.path(f"{lease}/submit/"), verdict(rng))
    return next_ms, submit_ms


def measure(program: Path, n_comparisons: int, n_rounds: int) -> dict[str, Any]:
    """Measure both at one project size."""
    with own_database(f"side_{os.getpid()}") as url, label_studio(program) as client:
        with psycopg.connect(url, autocommit=True) as connection:
            project = fill_project(
                connection, slug=SLUG, n_comparisons=n_comparisons, n_annotators=2
            )
        (_, who), port = sign_in(url, project.user_ids), free_port()
        rival, rows_per_s = rival_project(client, n_comparisons)
        # Nothing is measured inside, as inside Label Studio.
        web = gunicorn(url, port=port, processes=2, threads=2, application=PLAIN)
        with web, rendering_ahead(url):
            rng, site, own = random.Random(0), Site(port, SLUG), own_caller(port, who)
            # What filling both left in the page cache would else be written during the rounds.
            os.sync()
            rivals = Caller(int(client.base_url.port or 80), dict(TOKEN_HEADER))

            def theirs() -> Times:
                return rival_round(rivals, rival)

            def ours() -> Times:
                return own_round(own, site, rng)

            _turns(theirs, ours, N_WARM)
            turns = _turns(theirs, ours, n_rounds)
            stretches = [_stretch(theirs, ours) for _ in range(math.ceil(n_rounds / STRETCH))]
    return {
        "n_comparisons": n_comparisons,
        "n_rounds": n_rounds,
        **_ratios(turns),
        "in_stretches": _ratios([times for stretch in stretches for times in stretch]),
        "label_studio_import_rows_per_s": round(rows_per_s),
    }


def _turns(theirs: Round, ours: Round, n_rounds: int) -> list[tuple[Times, Times]]:
    return [(theirs(), ours()) for _ in range(n_rounds)]


def _stretch(theirs: Round, ours: Round) -> list[tuple[Times, Times]]:
    first, then = [theirs() for _ in range(STRETCH)], [ours() for _ in range(STRETCH)]
    return list(zip(first, then, strict=True))


def _ratios(rounds: list[tuple[Times, Times]]) -> dict[str, float]:
    """The median times of both, and how many times faster Tandem is."""
    found: dict[str, float] = {}
    for place, step in enumerate(("next", "submit")):
        rival, own = (median(row[side][place] for row in rounds) for side in range(2))
        found |= {
            f"label_studio_{step}_ms": round(rival, 1),
            f"tandem_{step}_ms": round(own, 2),
            f"{step}_ratio": round(rival / own, 1),
        }
    return found


def main() -> None:
    """Run the comparison and write its result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=Path, help="the label-studio program to compare with")
    parser.add_argument("--quick", action="store_true", help="one small size, within 60 s")
    parser.add_argument("--sizes", type=int, nargs="+", default=[2_000, 20_000, 100_000])
    parser.add_argument(
        "--output", type=Path, default=ROOT / "benchmarks/results/label_studio.json"
    )
    options = parser.parse_args()
    sizes, n_rounds = ([500], 10) if options.quick else (options.sizes, 60)
    if not options.quick:
        # Thrown away: whatever comes first meets a disk and caches that nobody has used yet.
        measure(options.program, 500, 10)
    curve = [measure(options.program, size, n_rounds) for size in sizes]
    result = {**curve[-1], "curve": curve}
    options.output.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()

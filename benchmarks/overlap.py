"""Overlap under fire: no comparison ever above its labels, and at the end none below.

A crowd labels a project through several server processes while server processes and clients are
killed with ``kill -9``, leases run out under people at work, and answers are lost. A watcher reads
every comparison in one snapshot several times a second.

``python benchmarks/overlap.py [--quick] [--output OUT.json]``
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import psycopg

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from benchmarks._clients import Visitor  # noqa: E402
from benchmarks._filled_project import fill_project  # noqa: E402
from benchmarks._overlap_watch import (  # noqa: E402
    Connection,
    Watch,
    age_leases,
    final_counts,
    watch_result,
)
from benchmarks._server import (  # noqa: E402
    environment_for,
    free_port,
    gunicorn,
    own_database,
    sign_in,
)

OVERLAP = 3
SLUG = "overlap"
AGED_SHARE = 0.02
LOOK_S = 0.2


@dataclass(frozen=True)
class Siege:
    """How many of everything, and how long it may take."""

    n_comparisons: int = 2_000
    n_annotators: int = 200
    n_servers: int = 8
    n_client_programs: int = 4
    server_kill_s: float = 3.0
    client_kill_s: float = 8.0
    max_seconds: float = 900
    seed: int = 1


QUICK = Siege(
    n_comparisons=60, n_annotators=24, n_servers=3, n_client_programs=2, server_kill_s=4.0,
    max_seconds=45,
)  # fmt: skip


def besiege(siege: Siege) -> dict[str, Any]:
    """Run one siege in a database of its own; return what was seen."""
    with (
        own_database(f"overlap_{os.getpid()}") as url,
        psycopg.connect(url, autocommit=True) as connection,
    ):
        project = fill_project(
            connection,
            slug=SLUG,
            n_comparisons=siege.n_comparisons,
            n_annotators=siege.n_annotators,
            overlap=OVERLAP,
            has_heavy=False,
        )
        visitors, port = sign_in(url, project.user_ids), free_port()
        with gunicorn(url, port=port, processes=siege.n_servers, threads=4) as server:
            attack = _Attack(siege, url, port, visitors, server)
            return _watched(siege, connection, project.pk, attack)


class _Attack:
    """Keeps client programs running and kills them, and server processes, at random."""

    def __init__(
        self,
        siege: Siege,
        url: str,
        port: int,
        visitors: list[Visitor],
        server: "subprocess.Popen[bytes]",
    ) -> None:
        self.siege, self.rng = siege, random.Random(siege.seed)
        self.port, self.environment = port, environment_for(url)
        self.server = psutil.Process(server.pid)
        n = siege.n_client_programs
        self.shares = [visitors[start::n] for start in range(n)]
        self.programs = [self._start(share) for share in self.shares]
        self.n_killed_servers = self.n_killed_clients = 0

    def _start(self, visitors: list[Visitor]) -> "subprocess.Popen[bytes]":
        seats = [f"{who.session}:{who.number}" for who in visitors]
        seed = str(self.rng.randrange(10**6))
        command = [sys.executable, "-m", "benchmarks._wild_clients", str(self.port), SLUG, seed]
        return subprocess.Popen([*command, *seats], cwd=ROOT, env=self.environment)

    def strike(self) -> None:
        """Perhaps kill a server process; perhaps kill a client program and start another."""
        if self._is_due(self.siege.server_kill_s):
            workers = self.server.children()
            if workers:
                self.rng.choice(workers).kill()
                self.n_killed_servers += 1
        if self._is_due(self.siege.client_kill_s):
            number = self.rng.randrange(len(self.programs))
            self._end(number)
            self.programs[number] = self._start(self.shares[number])
            self.n_killed_clients += 1

    def _is_due(self, mean_s: float) -> bool:
        return self.rng.random() < LOOK_S / mean_s

    def _end(self, number: int) -> None:
        self.programs[number].kill()
        self.programs[number].wait()

    def stop(self) -> None:
        """Kill every client program."""
        for number in range(len(self.programs)):
            self._end(number)


@contextmanager
def _running(attack: _Attack) -> Iterator[_Attack]:
    try:
        yield attack
    finally:
        attack.stop()


def _watched(siege: Siege, connection: Connection, project: int, attack: _Attack) -> dict[str, Any]:
    watch, begun = Watch(), time.monotonic()
    with _running(attack):
        while time.monotonic() < begun + siege.max_seconds:
            if watch.look(connection, project=project, overlap=OVERLAP):
                break
            age_leases(connection, share=AGED_SHARE)
            attack.strike()
            time.sleep(LOOK_S)
    is_exact = watch.look(connection, project=project, overlap=OVERLAP)
    return {
        "is_exact": is_exact and watch.max_taken <= OVERLAP and not watch.n_wrong_counts,
        "overlap": OVERLAP,
        "n_annotators": siege.n_annotators,
        "n_server_processes": siege.n_servers,
        "n_killed_server_processes": attack.n_killed_servers,
        "n_killed_client_programs": attack.n_killed_clients,
        **watch_result(watch, begun),
        **final_counts(connection, project=project),
    }


def main() -> None:
    """Run the siege and write what was seen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small siege, within 60 s")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/overlap.json")
    options = parser.parse_args()
    result = besiege(QUICK if options.quick else Siege())
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n")
    for name, value in result.items():
        print(f"{name:28} {value}")


if __name__ == "__main__":
    main()

"""Simulated annotators: sign in by session as a browser does, ask, think, submit, and again."""

import asyncio
import json
import random
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

# What a page sends that has had its progress with the label before.
ASK = {"exclude": [], "progress": False}
GIVEN_UP = (ConnectionError, asyncio.IncompleteReadError, OSError)


@dataclass(frozen=True)
class Visitor:
    """One annotator's signed-in browser."""

    session: str
    csrf: str
    number: int


@dataclass(frozen=True)
class Site:
    """Where the server listens and which project is labelled there."""

    port: int
    slug: str

    def path(self, rest: str) -> str:
        """Return an address of the labelling API."""
        return f"/api/v1/projects/{self.slug}/assignments/{rest}"


@dataclass(frozen=True)
class Answer:
    """A response with the times that both sides measured."""

    status: int
    body: dict[str, Any]
    server_ms: float
    server_cpu_ms: float
    client_ms: float
    n_queries: int


@dataclass
class Log:
    """What came back, by kind of request."""

    next: list[Answer] = field(default_factory=list)
    submit: list[Answer] = field(default_factory=list)
    other: list[Answer] = field(default_factory=list)
    n_lost: int = 0


async def post(site: Site, who: Visitor, rest: str, body: dict[str, Any]) -> Answer:
    """Send one request on a connection of its own."""
    content = json.dumps(body).encode()
    head = (
        f"POST {site.path(rest)} HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\n"
        f"Cookie: sessionid={who.session}; csrftoken={who.csrf}\r\nX-CSRFToken: {who.csrf}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
        "Connection: close\r\n\r\n"
    )
    begun = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
    try:
        writer.write(head.encode() + content)
        raw = await reader.read()
    finally:
        writer.close()
    return _answer(raw, (time.perf_counter() - begun) * 1000)


def _answer(raw: bytes, client_ms: float) -> Answer:
    head, separator, content = raw.partition(b"\r\n\r\n")
    if not separator:
        raise ConnectionResetError("The server went away before it answered.")
    lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    if int(headers.get("content-length", 0)) != len(content):
        raise ConnectionResetError("The server went away in the middle of its answer.")
    timing = headers.get("server-timing", "=0, =0, =0").split(", ")
    spent, busy, queries = (float(part.rpartition("=")[2]) for part in timing)
    return Answer(
        status=int(lines[0].split()[1]),
        body=json.loads(content) if content[:1] == b"{" else {},
        server_ms=spent,
        server_cpu_ms=busy,
        client_ms=client_ms,
        n_queries=int(queries),
    )


def verdict(rng: random.Random) -> dict[str, Any]:
    """Draw a label as the workspace sends it."""
    strength = rng.choice([-2, -1, 1, 2])
    key = str(uuid.UUID(int=rng.getrandbits(128), version=4))
    return {
        "idempotency_key": key,
        "verdict": "ranked",
        "strength": strength,
        "active_ms": rng.randrange(2_000, 60_000),
    }


async def label_steadily(
    site: Site, visitors: Sequence[Visitor], *, think_s: float, seconds: float, seed: int
) -> Log:
    """Let every visitor label with pauses until the time is over."""
    log, until = Log(), time.monotonic() + seconds
    async with asyncio.TaskGroup() as group:
        for who in visitors:
            rng = random.Random(seed * 100_003 + who.number)
            group.create_task(_label(site, who, log, think_s, until, rng))
    return log


async def _label(
    site: Site, who: Visitor, log: Log, think_s: float, until: float, rng: random.Random
) -> None:
    await asyncio.sleep(rng.uniform(0, think_s))
    while time.monotonic() < until:
        try:
            task = await post(site, who, "next/", ASK)
            log.next.append(task)
            if task.body.get("assignment") is None:
                return
            await asyncio.sleep(rng.uniform(0.5, 1.5) * think_s)
            lease = task.body["assignment"]["id"]
            log.submit.append(await post(site, who, f"{lease}/submit/", verdict(rng)))
        except GIVEN_UP:
            log.n_lost += 1

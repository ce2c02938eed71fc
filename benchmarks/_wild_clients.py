"""Annotators as bad as they come: they vanish, return, skip, send twice and hang up early.

Run as a program it plays a share of them until it is killed:
``python -m benchmarks._wild_clients PORT SLUG SEED SESSION:NUMBER …``
"""

import asyncio
import random
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from benchmarks._clients import GIVEN_UP, Site, Visitor, post, verdict

IDLE_S = 0.3
Deed = Callable[[Site, Visitor, str, random.Random], Awaitable[None]]


async def submit(site: Site, who: Visitor, lease: str, rng: random.Random) -> None:
    """Send a label."""
    await post(site, who, f"{lease}/submit/", verdict(rng))


async def submit_twice(site: Site, who: Visitor, lease: str, rng: random.Random) -> None:
    """Send the same label twice at once, as after a lost answer."""
    body = verdict(rng)
    both = (post(site, who, f"{lease}/submit/", body) for _ in range(2))
    await asyncio.gather(*both, return_exceptions=True)


async def submit_and_hang_up(site: Site, who: Visitor, lease: str, rng: random.Random) -> None:
    """Send a label and go before the answer; the lease may be a label by then, or not."""
    with suppress(TimeoutError):
        async with asyncio.timeout(rng.uniform(0, 0.05)):
            await submit(site, who, lease, rng)


async def give_back(site: Site, who: Visitor, lease: str, rng: random.Random) -> None:
    """Return the lease."""
    await post(site, who, f"{lease}/return/", {})


async def skip(site: Site, who: Visitor, lease: str, rng: random.Random) -> None:
    """Skip the comparison."""
    await post(site, who, f"{lease}/skip/", {"reason": "other"})


async def prefetch(site: Site, who: Visitor, lease: str, rng: random.Random) -> None:
    """Take the next comparison while this one is on screen, then label both."""
    ahead = await post(site, who, "next/", {"exclude": [lease]})
    await submit(site, who, lease, rng)
    if ahead.body.get("assignment"):
        await submit(site, who, ahead.body["assignment"]["id"], rng)


async def keep_alive(site: Site, who: Visitor, lease: str, rng: random.Random) -> None:
    """Send a heartbeat, think on, and label."""
    await post(site, who, f"{lease}/heartbeat/", {})
    await submit(site, who, lease, rng)


async def vanish(site: Site, who: Visitor, lease: str, rng: random.Random) -> None:
    """Close the tab."""


DEEDS: tuple[tuple[Deed, int], ...] = (
    (submit, 60), (submit_twice, 6), (submit_and_hang_up, 8), (give_back, 6), (skip, 1),
    (prefetch, 8), (keep_alive, 5), (vanish, 6),
)  # fmt: skip


async def _live(site: Site, who: Visitor, rng: random.Random) -> None:
    deeds, weights = zip(*DEEDS, strict=True)
    while True:
        with suppress(*GIVEN_UP):
            task = await post(site, who, "next/", {"exclude": []})
            lease: dict[str, Any] | None = task.body.get("assignment")
            if lease is None:
                await asyncio.sleep(IDLE_S)
                continue
            await asyncio.sleep(rng.expovariate(20))
            await rng.choices(deeds, weights)[0](site, who, lease["id"], rng)
        await asyncio.sleep(rng.expovariate(50))


async def live_wildly(site: Site, visitors: list[Visitor], seed: int) -> None:
    """Play all visitors until the program is killed."""
    async with asyncio.TaskGroup() as group:
        for who in visitors:
            group.create_task(_live(site, who, random.Random(seed * 1_009 + who.number)))


def main() -> None:
    """Read who to play from the command line."""
    port, slug, seed, *sessions = sys.argv[1:]
    pairs = [session.split(":") for session in sessions]
    visitors = [Visitor(key, f"{int(number):032x}", int(number)) for key, number in pairs]
    asyncio.run(live_wildly(Site(int(port), slug), visitors, int(seed)))


if __name__ == "__main__":
    main()

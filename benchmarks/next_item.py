"""How long the next comparison and a submit take, from ten thousand to a million comparisons.

Two hundred simulated annotators label through several server processes, first at the pace of
people, then without pauses. One of them has labelled thousands at the head of the queue already,
all of which are still open for others. Times are the server's own work unless they say "client";
"cpu" is the part of it in which the web process computes instead of waiting for PostgreSQL or for
a processor.

``python benchmarks/next_item.py [--quick] [--output OUT.json]``
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psycopg

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from benchmarks._clients import Log, Site, Visitor, label_steadily  # noqa: E402
from benchmarks._filled_project import fill_project  # noqa: E402
from benchmarks._server import (  # noqa: E402
    free_port,
    gunicorn,
    own_database,
    rendering_ahead,
    sign_in,
)

SLUG = "next-item"
HEAVY_COLUMNS = " next after thousands of own labels, p95 ms | queries |"


@dataclass(frozen=True)
class Plan:
    """What is measured, and for how long."""

    sizes: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    n_annotators: int = 200
    n_server_processes: int = 4
    n_threads: int = 2
    think_s: float = 15.0
    paced_s: float = 45.0
    n_busy: int = 8
    busy_s: float = 12.0
    # What no answer is taken from: processes load, caches fill, everybody asks for the first time.
    warm_s: float = 16.0


QUICK = Plan(
    sizes=(1_000, 10_000), n_annotators=60, think_s=3.0, paced_s=6.0, busy_s=2.0, warm_s=4.0
)


def measure(plan: Plan, n_comparisons: int) -> dict[str, Any]:
    """Measure one project size in a database of its own."""
    with own_database(f"next_item_{os.getpid()}") as url:
        begun = time.monotonic()
        with psycopg.connect(url, autocommit=True) as connection:
            project = fill_project(
                connection,
                slug=SLUG,
                n_comparisons=n_comparisons,
                n_annotators=plan.n_annotators,
            )
        fill_s = time.monotonic() - begun
        visitors, port = sign_in(url, project.user_ids), free_port()
        web = gunicorn(url, port=port, processes=plan.n_server_processes, threads=plan.n_threads)
        with web, rendering_ahead(url):
            logs = asyncio.run(_phases(plan, Site(port, SLUG), visitors))
    return {"n_comparisons": n_comparisons, "fill_s": round(fill_s, 1), **_report(plan, *logs)}


async def _phases(plan: Plan, site: Site, visitors: Sequence[Visitor]) -> tuple[Log, Log, Log]:
    await label_steadily(site, visitors, think_s=plan.warm_s / 2, seconds=plan.warm_s, seed=0)
    paced, heavy = await asyncio.gather(
        label_steadily(site, visitors[1:], think_s=plan.think_s, seconds=plan.paced_s, seed=1),
        label_steadily(site, visitors[:1], think_s=0.5, seconds=plan.paced_s, seed=2),
    )
    busy = await label_steadily(
        site, visitors[1 : 1 + plan.n_busy], think_s=0.0, seconds=plan.busy_s, seed=3
    )
    return paced, heavy, busy


def _report(plan: Plan, paced: Log, heavy: Log, busy: Log) -> dict[str, Any]:
    answers = [*paced.next, *paced.submit, *heavy.next, *heavy.submit, *busy.next, *busy.submit]
    return {
        "n_annotators": plan.n_annotators,
        "next_ms": _percentiles(answer.server_ms for answer in paced.next),
        "submit_ms": _percentiles(answer.server_ms for answer in paced.submit),
        "requests_per_s": round(_n_answers(busy) / plan.busy_s, 1),
        "queries_per_next": max(answer.n_queries for answer in paced.next),
        "queries_per_submit": max(answer.n_queries for answer in paced.submit),
        "next_cpu_ms": _percentiles(answer.server_cpu_ms for answer in paced.next),
        "submit_cpu_ms": _percentiles(answer.server_cpu_ms for answer in paced.submit),
        "client_next_ms": _percentiles(answer.client_ms for answer in paced.next),
        "client_submit_ms": _percentiles(answer.client_ms for answer in paced.submit),
        "heavy_annotator_next_ms": _percentiles(answer.server_ms for answer in heavy.next),
        "paced_requests_per_s": round((_n_answers(paced) + _n_answers(heavy)) / plan.paced_s, 1),
        "busy_next_ms": _percentiles(answer.server_ms for answer in busy.next),
        "n_requests": len(answers),
        "n_refused": sum(answer.status >= 400 for answer in answers),
        "n_lost": paced.n_lost + heavy.n_lost + busy.n_lost,
    }


def _n_answers(log: Log) -> int:
    return len(log.next) + len(log.submit)


def _percentiles(times: Any) -> dict[str, float]:
    ordered = sorted(times)
    if not ordered:
        return {}
    ranks = {f"p{percent}": -(-len(ordered) * percent // 100) - 1 for percent in (50, 95, 99)}
    return {name: round(ordered[rank], 2) for name, rank in ranks.items()}


def run(plan: Plan) -> dict[str, Any]:
    """Measure every size; the largest gives the figures that count."""
    curve = []
    for n_comparisons in plan.sizes:
        print(f"{n_comparisons:,} comparisons …", flush=True)
        curve.append(measure(plan, n_comparisons))
    return {
        **curve[-1],
        "n_cpus": os.cpu_count(),
        "plan": asdict(plan),
        "curve": curve,
    }


def table(curve: Sequence[dict[str, Any]]) -> str:
    """Write the scaling curve as a Markdown table."""
    lines = [
        "| comparisons | next p50 / p95 / p99 ms | submit p50 / p95 / p99 ms |" + HEAVY_COLUMNS,
        "|---:|---:|---:|---:|---:|",
    ]
    for point in curve:
        times = [
            " / ".join(f"{value:.1f}" for value in point[name].values())
            for name in ("next_ms", "submit_ms")
        ]
        lines.append(
            f"| {point['n_comparisons']:,} | {times[0]} | {times[1]} |"
            f" {point['heavy_annotator_next_ms']['p95']:.1f} | {point['queries_per_next']} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Run the benchmark and write its result and its chart."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, within 60 s")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/next_item.json")
    parser.add_argument("--chart", type=Path, help="write the scaling curve as SVG")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    result = run(QUICK if options.quick else Plan()) | {"load_before": round(load, 1)}
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n")
    if options.chart:
        from benchmarks._chart import scaling_chart

        options.chart.write_text(scaling_chart(result["curve"]))
    print(table(result["curve"]))
    for name in ("next_ms", "submit_ms", "requests_per_s", "queries_per_next", "n_refused"):
        print(f"{name:20} {result[name]}")


if __name__ == "__main__":
    main()

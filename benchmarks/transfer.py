"""How fast comparisons come in and labels go out, in how much memory, and what kill -9 leaves.

One million comparisons with one human label each are imported by COPY and exported as TRL
preferences, native JSON lines and Parquet; every step is a process of its own, whose peak memory is
measured, and the import's speed for every stretch of rows. Before the import that counts, the same
import is killed twice in the middle. Where a Label Studio is installed, as many of the same rows as
it can take go in and out there and here.

``python benchmarks/transfer.py [--quick] [--label-studio /path/to/venv/bin/label-studio]``
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from benchmarks._server import environment_for, own_database  # noqa: E402
from benchmarks.label_studio import label_studio  # noqa: E402

SIZES = (100_000, 1_000_000)
QUICK_SIZES = (2_000, 10_000)
LABEL_STUDIO_ROWS = 20_000
EXPORTS = {
    "trl-preference": "trl-preference:jsonl",
    "native": "native:jsonl",
    "parquet": "trl-preference:parquet",
}
N_PEOPLE = 50
CHUNK = 5_000
LABEL_STUDIO_CONFIG = (
    '<View><Text name="prompt" value="$prompt"/><Text name="answer1" value="$answer1"/>'
    '<Text name="answer2" value="$answer2"/>'
    '<Pairwise name="preference" toName="answer1,answer2"/></View>'
)
TABLES = ("prompt", "response", "comparison", "comparisonresponse", "preference")


def rows(n_rows: int) -> Iterator[dict[str, Any]]:
    """Comparisons of about a kilobyte, each with a person's verdict."""
    for number in range(n_rows):
        text = f"Answer {number}: " + "some words about the matter at hand, " * 8
        yield {
            "id": f"q{number}",
            "prompt": f"Question {number}: why does it matter?",
            "responses": [
                {"id": "a", "text": f"{text}first", "model": "otter-7b"},
                {"id": "b", "text": f"{text}second", "model": "lynx-13b"},
            ],
            "human": [
                {"annotator": f"p{number % N_PEOPLE}", "preference": number % 2, "seconds": 31.5}
            ],
            "llm": [],
            "meta": {"license": "CC0-1.0"},
        }


def write_rows(path: Path, n_rows: int) -> None:
    """Write the file that is imported."""
    with path.open("w", encoding="utf-8") as stream:
        for row in rows(n_rows):
            stream.write(json.dumps(row) + "\n")


def step(url: str, name: str, path: Path, n_rows: int) -> dict[str, Any]:
    """Run one step in a process of its own."""
    done = subprocess.run(
        _command(name, path, n_rows),
        cwd=ROOT, env=environment_for(url), check=True, capture_output=True, text=True,
    )  # fmt: skip
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _command(name: str, path: Path, n_rows: int) -> list[str]:
    return [sys.executable, "benchmarks/_transfer_steps.py", name, str(path), str(n_rows)]


def kill_in_the_middle(url: str, path: Path, n_rows: int, *, written: float) -> dict[str, int]:
    """Kill an import once it has written a share of its rows; count what other sessions see."""
    process = subprocess.Popen(_command("import", path, n_rows), cwd=ROOT, env=environment_for(url))
    with psycopg.connect(url, autocommit=True) as connection:
        while process.poll() is None and _ids_taken(connection) < written * n_rows:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        taken = _ids_taken(connection)
        return {"n_written_when_killed": taken, "n_rows_left": _n_rows(connection)}


def _ids_taken(connection: "psycopg.Connection[Any]") -> int:
    """How many comparisons were written so far: sequences do not wait for a commit."""
    query = "SELECT last_value, is_called FROM annotate_comparison_id_seq"
    row = connection.execute(query).fetchone()
    return int(row[0]) if row and row[1] else 0


def _n_rows(connection: "psycopg.Connection[Any]") -> int:
    counts = " + ".join(f"(SELECT count(*) FROM annotate_{table})" for table in TABLES)
    row = connection.execute(f"SELECT {counts}").fetchone()
    return int(row[0]) if row else 0


def duplicates(url: str) -> int:
    """How many comparisons have an id that another one has."""
    query = "SELECT count(*) - count(DISTINCT external_id) FROM annotate_comparison"
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0


def measure(n_rows: int, folder: Path) -> dict[str, Any]:
    """Measure one size in a database of its own."""
    path = folder / "rows.jsonl"
    write_rows(path, n_rows)
    with own_database(f"transfer_{os.getpid()}") as url:
        first = kill_in_the_middle(url, path, n_rows, written=0.3)
        second = kill_in_the_middle(url, path, n_rows, written=1.0)
        imported = step(url, "import", path, n_rows)
        n_twice = duplicates(url)
        again = step(url, "import", path, n_rows)
        exported = {
            name: step(url, command, folder / "out", n_rows) for name, command in EXPORTS.items()
        }
    return {
        "n_rows": n_rows,
        "killed": [first, second],
        "import": imported,
        "import_again": again,
        "n_duplicates": n_twice,
        "exports": exported,
        "import_rows_per_s": imported["rows_per_s"],
        "export_rows_per_s": {name: told["rows_per_s"] for name, told in exported.items()},
        "peak_mb": max(told["peak_mb"] for told in (imported, *exported.values())),
    }


def measure_label_studio(program: Path, n_rows: int) -> dict[str, Any]:
    """Send the same rows through a Label Studio, by the thousand as its requests allow."""
    with label_studio(program) as client:
        form = {"title": "transfer", "label_config": LABEL_STUDIO_CONFIG}
        project = client.post("/api/projects/", json=form).raise_for_status().json()["id"]
        tasks = [_task(row) for row in rows(n_rows)]
        begun = time.monotonic()
        for start in range(0, n_rows, CHUNK):
            chunk = tasks[start : start + CHUNK]
            client.post(f"/api/projects/{project}/import", json=chunk).raise_for_status()
        imported = time.monotonic() - begun
        begun = time.monotonic()
        export = client.get(f"/api/projects/{project}/export", params={"exportType": "JSON"})
        exported = time.monotonic() - begun
        n_exported = len(export.raise_for_status().json())
    return {
        "n_rows": n_rows,
        "n_exported": n_exported,
        "import_rows_per_s": round(n_rows / imported, 1),
        "export_rows_per_s": round(n_exported / exported, 1),
    }


def _task(row: dict[str, Any]) -> dict[str, Any]:
    result = {
        "from_name": "preference", "to_name": "answer1,answer2", "type": "pairwise",
        "value": {"selected": "left" if row["human"][0]["preference"] == 0 else "right"},
    }  # fmt: skip
    first, second = row["responses"]
    data = {"prompt": row["prompt"], "answer1": first["text"], "answer2": second["text"]}
    return {"data": data, "annotations": [{"result": [result]}]}


def main() -> None:
    """Measure, print a table and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="ends within a minute")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks/results/transfer.json")
    parser.add_argument("--rows", type=int, help="one size instead of the usual ones")
    parser.add_argument("--label-studio", type=Path, help="the program to compare with")
    parser.add_argument("--label-studio-rows", type=int, default=LABEL_STUDIO_ROWS)
    options = parser.parse_args()
    sizes = (options.rows,) if options.rows else QUICK_SIZES if options.quick else SIZES
    import django

    django.setup()
    with tempfile.TemporaryDirectory() as folder:
        found = [measure(size, Path(folder)) for size in sizes]
        beside = _side_by_side(options.label_studio, options.label_studio_rows, Path(folder))
    largest = found[-1]
    result = {
        "benchmark": "transfer",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "load_average": os.getloadavg(),
        "n_rows": largest["n_rows"],
        "import_rows_per_s": largest["import_rows_per_s"],
        "export_rows_per_s": largest["export_rows_per_s"],
        "peak_mb": largest["peak_mb"],
        "sizes": found,
        "label_studio": beside,
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n")
    print(_table(found if beside is None else [*found, beside["tandem"]]))
    if beside is not None:
        print(_sentence(beside))


def _side_by_side(program: Path | None, n_rows: int, folder: Path) -> dict[str, Any] | None:
    if program is None:
        return None
    return {**measure_label_studio(program, n_rows), "tandem": measure(n_rows, folder)}


def _sentence(beside: dict[str, Any]) -> str:
    return (
        f"Label Studio, {beside['n_rows']:,} of the same rows: "
        f"{beside['import_rows_per_s']:,.0f} rows/s in, {beside['export_rows_per_s']:,.0f} out."
    )


def _table(found: list[dict[str, Any]]) -> str:
    head = "| comparisons | step | rows/s | peak MB | CPU s of the process |"
    lines = [head, "|---|---|---|---|---|"]
    for size in found:
        for name, told in {"import": size["import"], **size["exports"]}.items():
            lines.append(
                f"| {size['n_rows']:,} | {name} | {told['rows_per_s']:,.0f} | "
                f"{told['peak_mb']:.0f} | {told['cpu_seconds']:.1f} |"
            )
        lines.append(f"rows/s in, by stretch: {size['import']['rows_per_s_by_stretch']}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()

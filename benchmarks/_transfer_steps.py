"""One step of the transfer benchmark in a process of its own, so that its memory is its own.

``python benchmarks/_transfer_steps.py STEP PATH N`` prints a JSON line; STEP is import or the name
of an export as format:container.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

if TYPE_CHECKING:
    from annotate.services.imports import ImportProgress

SLUG = "transfer"
STRETCH = 50_000
Work = Callable[[], dict[str, Any]]


def main() -> None:
    """Do the step and say how long it took."""
    import django

    django.setup()
    step, path, n_rows = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    # A server has loaded its modules long before somebody asks for a file.
    work = _importer(path) if step == "import" else _exporter(step, path)
    begun, cpu = time.monotonic(), time.process_time()
    told = work()
    seconds = time.monotonic() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        json.dumps(
            {
                **told,
                "seconds": round(seconds, 2),
                "cpu_seconds": round(time.process_time() - cpu, 2),
                "rows_per_s": round(n_rows / seconds, 1),
                "peak_mb": round(peak, 1),
            }
        )
    )


def _importer(path: Path) -> Work:
    from annotate.models import Project
    from annotate.services.imports import WRITING, comparisons_import
    from annotate.services.projects import project_create

    def work() -> dict[str, Any]:
        project = Project.objects.filter(slug=SLUG).first() or project_create(
            name="Transfer", slug=SLUG, user=None
        )
        marks = [(0, time.monotonic())]

        def mark(progress: "ImportProgress") -> None:
            if progress.phase == WRITING and progress.n_done >= marks[-1][0] + STRETCH:
                marks.append((progress.n_done, time.monotonic()))

        report = comparisons_import(project=project, path=path, progress=mark)
        speeds = [round((n - m) / (end - begun)) for (m, begun), (n, end) in pairwise(marks)]
        return {
            "n_created": report.n_created,
            "n_errors": report.n_errors,
            "rows_per_s_by_stretch": speeds,
        }

    return work


def _exporter(step: str, path: Path) -> Work:
    from annotate.models import Project
    from annotate.services.exports import export_open

    def work() -> dict[str, Any]:
        format, _, container = step.partition(":")
        project = Project.objects.get(slug=SLUG)
        export = export_open(project=project, format=format, container=container)
        n_bytes = 0
        with path.open("wb") as stream:
            for block in export.stream():
                n_bytes += stream.write(block)
        return {"n_bytes": n_bytes}

    return work


if __name__ == "__main__":
    main()

"""One project: comparisons in and out, changes, versions, exports and jobs."""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

from tandem_client.errors import JobFailed
from tandem_client.progress import bar
from tandem_client.records import (
    ChangeRow,
    ComparisonRow,
    ExportJobRow,
    PreferenceRow,
    VersionDiff,
    VersionRow,
    ViewRow,
)
from tandem_client.transport import Transport

if TYPE_CHECKING:
    from datasets import Dataset

PAGE = 1000
ENDED = frozenset({"done", "failed", "cancelled"})


@dataclass
class AddReport:
    """What came of the rows that were sent."""

    n_rows: int = 0
    n_created: int = 0
    n_unchanged: int = 0
    n_preferences: int = 0

    def add(self, answer: dict[str, Any]) -> None:
        """Count one more answer."""
        self.n_rows += answer["n_rows"]
        self.n_created += answer["n_created"]
        self.n_unchanged += answer["n_unchanged"]
        self.n_preferences += answer["n_preferences"]


class Project:
    """One project of an installation."""

    def __init__(
        self, transport: Transport, slug: str, *, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self.slug = slug
        self._transport = transport
        self._sleep = sleep

    def request(self, method: str, path: str, **options: Any) -> Any:
        """Send any request below the project; ``path`` is what follows its address."""
        return self._transport.json(method, f"projects/{self.slug}/{path}", **options)

    def comparisons(self, **filters: Any) -> Iterator[ComparisonRow]:
        """Comparisons, page by page: ``q``, ``state``, ``slice``, ``disagreement``, ``order`` …"""
        yield from self._pages("comparisons", filters)

    def comparison(self, pk: int) -> dict[str, Any]:
        """One comparison with its labels, judges' replies, decisions and history."""
        row: dict[str, Any] = self.request("GET", f"comparisons/{pk}")
        return row

    def read(self, ids: Sequence[str]) -> list[ComparisonRow]:
        """Comparisons by the ids that their import gave them; unknown ones are left out."""
        rows: list[ComparisonRow] = []
        for start in range(0, len(ids), PAGE):
            body = {"ids": list(ids[start : start + PAGE])}
            rows += self.request("POST", "comparisons/read", json=body)["results"]
        return rows

    def preferences(self, **filters: Any) -> Iterator[PreferenceRow]:
        """Verdicts, oldest first: ``comparison``, ``annotator``, ``kind``, ``since`` …"""
        yield from self._pages("preferences", filters)

    def add(
        self, rows: Iterable[dict[str, Any]], *, batch_size: int = 500, progress: bool = False
    ) -> AddReport:
        """Send comparisons in the native form; known ones again change nothing."""
        report, left = AddReport(), iter(rows)
        with bar("comparisons", show=progress) as shown:
            while batch := list(islice(left, batch_size)):
                report.add(self.request("POST", "comparisons", json={"comparisons": batch}))
                shown.update(len(batch))
        return report

    def change(
        self,
        action: str,
        value: Any = None,
        *,
        comparisons: Sequence[int] | None = None,
        **filters: Any,
    ) -> ChangeRow:
        """Change the comparisons named by ``pk``, or all that pass the filters."""
        chosen = {"filters": filters} if comparisons is None else {"comparisons": [*comparisons]}
        body = {"action": action, "value": value, **chosen}
        row: ChangeRow = self.request("POST", "changes", json=body)
        return row

    def undo(self, change: ChangeRow) -> ChangeRow:
        """Take a change back where nobody has changed the comparison since."""
        row: ChangeRow = self.request("POST", f"changes/{change['id']}/undo")
        return row

    def import_file(
        self,
        path: str | Path,
        *,
        format: str = "auto",
        mapping: Mapping[str, Any] | None = None,
        dry_run: bool = False,
        progress: bool = False,
    ) -> dict[str, Any]:
        """Send a file and wait until it is imported; ``mapping`` says which column holds what.

        Raises
        ------
        JobFailed
            If a row was refused; ``error.job["errors"]`` names rows, fields and remedies.
        """
        path = Path(path)
        form = {"format": format, "dry_run": str(dry_run).lower()}
        if mapping:
            form["mapping"] = json.dumps(dict(mapping))
        with path.open("rb") as stream:
            files = {"file": (path.name, stream)}
            job = self.request("POST", "imports", data=form, files=files)
        return self.wait(f"imports/{job['id']}", progress=progress)

    def preview(self, job: str) -> dict[str, Any]:
        """The first rows of a sent file, its columns, and a guess of what they hold."""
        row: dict[str, Any] = self.request("GET", f"imports/{job}/preview")
        return row

    def remap(self, job: str, mapping: Mapping[str, Any]) -> dict[str, Any]:
        """Check a sent file again with its columns mapped; ``confirm`` imports it."""
        self.request("POST", f"imports/{job}/mapping", json={"mapping": dict(mapping)})
        return self.wait(f"imports/{job}")

    def confirm(self, job: str) -> dict[str, Any]:
        """Import what a check has found to be right."""
        self.request("POST", f"imports/{job}/confirm")
        return self.wait(f"imports/{job}")

    def freeze(self, label_rule: str = "human_majority-v1") -> VersionRow:
        """Freeze a dataset version of what is labelled now."""
        row: VersionRow = self.request("POST", "versions", json={"label_rule": label_rule})
        return row

    def freeze_in_background(
        self, label_rule: str = "human_majority-v1", *, progress: bool = False, **filters: Any
    ) -> VersionRow:
        """Freeze a version of any size, under any rule and filters, and wait for it."""
        body = {"label_rule": label_rule, "filters": filters}
        job = self.request("POST", "freezes", json=body)
        done = self.wait(f"freezes/{job['id']}", progress=progress)
        return self.version(done["version"])

    def version(self, number: int) -> VersionRow:
        """One version with its manifest."""
        row: VersionRow = self.request("GET", f"versions/{number}")
        return row

    def versions(self) -> list[VersionRow]:
        """All versions, newest first."""
        rows: list[VersionRow] = self.request("GET", "versions")
        return rows

    def diff(self, before: int, after: int) -> VersionDiff:
        """What changed from one version to another."""
        row: VersionDiff = self.request("GET", f"versions/{after}/since/{before}")
        return row

    def views(self) -> list[ViewRow]:
        """The saved filters of the explorer."""
        rows: list[ViewRow] = self.request("GET", "views")
        return rows

    def save_view(self, name: str, *, is_shared: bool = False, **query: Any) -> ViewRow:
        """Save filters of the explorer under a name."""
        body = {"name": name, "query": query, "is_shared": is_shared}
        row: ViewRow = self.request("POST", "views", json=body)
        return row

    def export_in_background(
        self, path: str | Path, *, progress: bool = False, **options: Any
    ) -> ExportJobRow:
        """Let a worker write the export, then fetch its file and check its SHA-256.

        Raises
        ------
        JobFailed
            If the export failed or was cancelled.
        ValueError
            If what came is not what was written.
        """
        started = self.request("POST", "exports", json=options)
        place = f"exports/{started['id']}"
        job = cast(ExportJobRow, self.wait(place, progress=progress))
        digest = self._fetch(f"{place}/file", Path(path), {}, progress=progress)
        if digest != job["sha256"]:
            raise ValueError(f"{path} has the SHA-256 {digest}, not {job['sha256']}.")
        return job

    def export(
        self,
        path: str | Path,
        *,
        format: str = "trl-preference",
        version: int | None = None,
        progress: bool = False,
        **options: Any,
    ) -> Path:
        """Download an export into a file, in flat memory; the file is whole or not there."""
        path = Path(path)
        params = {"format": format, **({"version": version} if version else {}), **options}
        self._fetch("export", path, params, progress=progress)
        return path

    def _fetch(self, place: str, path: Path, params: dict[str, Any], *, progress: bool) -> str:
        """Stream an answer into a file and return its SHA-256."""
        draft, digest = path.with_name(f"{path.name}.part"), hashlib.sha256()
        with (
            self._transport.stream(f"projects/{self.slug}/{place}", params) as response,
            draft.open("wb") as file,
            bar("bytes", show=progress) as shown,
        ):
            for block in response.iter_bytes():
                file.write(block)
                digest.update(block)
                shown.update(len(block))
        draft.rename(path)
        return digest.hexdigest()

    def to_datasets(
        self, *, format: str = "trl-preference", version: int | None = None, **options: Any
    ) -> "Dataset":
        """An export of JSON lines as a Hugging Face ``Dataset``, for a trainer to take."""
        from datasets import Dataset

        with TemporaryDirectory() as folder:
            path = self.export(
                Path(folder) / "rows.jsonl", format=format, version=version, **options
            )
            found = Dataset.from_json(str(path), cache_dir=folder, keep_in_memory=True)
        return found

    def start(self, kind: str, **values: Any) -> dict[str, Any]:
        """Start a job: ``training-runs``, ``judge-runs``, ``routing-studies`` …"""
        row: dict[str, Any] = self.request("POST", kind, json=values)
        return row

    def wait(
        self, path: str, *, timeout_s: float = 3600, every_s: float = 1.0, progress: bool = False
    ) -> dict[str, Any]:
        """Wait for a job, such as ``training-runs/<id>``, and return it when it is done.

        Raises
        ------
        JobFailed
            If it failed or was cancelled.
        TimeoutError
            If it is still running after ``timeout_s``.
        """
        end = time.monotonic() + timeout_s
        with bar("%", show=progress, total=100) as shown:
            while True:
                job: dict[str, Any] = self.request("GET", path)
                shown.update(int(100 * _fraction(job)) - shown.n)
                if job["state"] in ENDED:
                    break
                if time.monotonic() > end:
                    raise TimeoutError(f"{path} is still {job['state']} after {timeout_s:g} s.")
                self._sleep(every_s)
        if job["state"] != "done":
            raise JobFailed(job)
        return job

    def _pages(self, path: str, filters: dict[str, Any]) -> Iterator[Any]:
        params: dict[str, Any] | None = {"page_size": PAGE, **filters}
        place = f"projects/{self.slug}/{path}"
        while place:
            page = self._transport.json("GET", place, params=params)
            yield from page["results"]
            # The next address holds every parameter already.
            place, params = page["next"], None


def _fraction(job: dict[str, Any]) -> float:
    if job["state"] == "done":
        return 1.0
    if "progress" in job:
        return float(job["progress"])
    return float(job.get("n_done") or 0) / float(job.get("n_rows") or 1)

"""Data sets of the hub and folders of `datasets`, turned into files to import."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import datasets
import pytest

from annotate.errors import ApplicationError
from annotate.services.hub import dataset_write

ROWS = [{"prompt": f"Why {n}?", "chosen": "one", "rejected": "two"} for n in range(3)]
LINES = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)
REPOSITORY, SHA = "owner/rows", "0123456789abcdef0123456789abcdef01234567"


def written(path: Path) -> list[dict[str, str]]:
    """What lies in a file of JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as `save_to_disk` makes it, with two splits."""
    splits = {
        "train": datasets.Dataset.from_list(ROWS),
        "test": datasets.Dataset.from_list(ROWS[:1]),
    }
    datasets.DatasetDict(splits).save_to_disk(str(tmp_path / "saved"))
    return tmp_path / "saved"


@pytest.mark.parametrize(("split", "n_rows"), [("", 3), ("train", 3), ("test", 1)])
def test_a_saved_folder_is_read_by_split(
    folder: Path, tmp_path: Path, split: str, n_rows: int
) -> None:
    path = tmp_path / "rows.jsonl"
    assert dataset_write(str(folder), path, split=split) == n_rows
    assert written(path) == ROWS[:n_rows]


def test_a_saved_folder_of_one_split_is_read(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    assert dataset_write(str(folder / "test"), path) == 1


def test_a_folder_of_data_files_is_read(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.jsonl").write_bytes(LINES)
    path = tmp_path / "rows.jsonl"
    assert dataset_write(str(tmp_path / "data"), path) == 3
    assert written(path) == ROWS


def test_a_split_that_is_not_there_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ApplicationError, match=r"cannot be read: .*dev.* Check name"):
        dataset_write(str(folder), tmp_path / "rows.jsonl", split="dev")


class Hub(BaseHTTPRequestHandler):
    """As much of the hub's API as a data set of one file needs."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(200, json.dumps([self._file()]).encode())

    def do_GET(self) -> None:
        path = urlsplit(self.path).path
        if path.startswith("/api/datasets/owner/busy"):
            self._answer(503, b"{}")
        elif f"/api/datasets/{REPOSITORY}/tree/" in path:
            self._answer(200, json.dumps([self._file()]).encode())
        elif path.startswith(f"/api/datasets/{REPOSITORY}"):
            told = {"id": REPOSITORY, "sha": SHA, "private": False, "gated": False, "tags": [],
                    "siblings": [{"rfilename": "train.jsonl"}]}  # fmt: skip
            self._answer(200, json.dumps(told).encode())
        elif path == f"/datasets/{REPOSITORY}/resolve/{SHA}/train.jsonl":
            self._answer(200, LINES)
        else:
            missing = "EntryNotFound" if f"/{REPOSITORY}/" in path else "RepoNotFound"
            self._answer(404, b"{}", {"X-Error-Code": missing})

    def _file(self) -> dict[str, object]:
        return {"type": "file", "path": "train.jsonl", "size": len(LINES), "oid": SHA}

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        sent = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        sent |= {"ETag": f'"{SHA}"', "X-Repo-Commit": SHA, **(headers or {})}
        for name, value in sent.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@pytest.fixture
def hub() -> Iterator[str]:
    """The address of a hub in this process."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


# The library reads the hub's address when it is loaded, so it is loaded in a process of its own.
_FETCH = """
import sys
from pathlib import Path
import django
django.setup()
from annotate.errors import ApplicationError
from annotate.services.hub import dataset_write
try:
    print(dataset_write(sys.argv[1], Path(sys.argv[2]), split=sys.argv[3]))
except ApplicationError as error:
    print(error.message)
"""


def fetched(hub: str, source: str, path: Path, split: str = "") -> str:
    """What the import says when it asks that hub."""
    environment = {
        **os.environ, "HF_ENDPOINT": hub, "HF_HOME": str(path.parent / "cache"),
        "HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0", "HF_DATASETS_OFFLINE": "0",
        "DJANGO_SETTINGS_MODULE": "config.settings", "PYTHONWARNINGS": "ignore",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", _FETCH, source, str(path), split],
        env=environment, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout.strip().splitlines()[-1]


def test_a_data_set_of_the_hub_is_fetched(hub: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    assert fetched(hub, REPOSITORY, path) == "3"
    assert written(path) == ROWS


@pytest.mark.parametrize(
    ("source", "split"), [("owner/nothing", ""), (REPOSITORY, "dev"), ("owner/busy", "")]
)
def test_what_the_hub_does_not_give_is_a_sentence(
    hub: str, tmp_path: Path, source: str, split: str
) -> None:
    told = fetched(hub, source, tmp_path / "rows.jsonl", split)
    assert told.startswith(f"'{source}' cannot be read: ")
    assert told.endswith("Check name, configuration and split.")

"""An endpoint on this machine that takes batch files as the OpenAI protocol has it."""

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.fake_endpoint import completion

Line = dict[str, Any]


def said(request: Line, text: str) -> Line:
    """The line of an output file that answers a request."""
    response = {"status_code": 200, "request_id": "r", "body": json.loads(completion(text))}
    return {"id": "l", "custom_id": request["custom_id"], "response": response, "error": None}


@dataclass
class BatchEndpoint:
    """Files and batches in memory; ``statuses`` are what each look finds, the last one stays.

    ``answer`` makes the output file of the request lines, ``failed`` the error file.
    """

    answer: Callable[[list[Line]], list[Any]] = lambda requests: []
    failed: Callable[[list[Line]], list[Any]] = lambda requests: []
    statuses: deque[str] = field(default_factory=lambda: deque(["completed"]))
    errors: list[dict[str, Any]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    is_listed: bool = True
    base_url: str = ""

    def get(self, path: list[str]) -> Any:
        """Answer a GET: the list of batches, one batch, or a file."""
        if path == ["batches"] and self.is_listed:
            return {"object": "list", "data": list(self.batches.values()), "has_more": False}
        if path[:1] == ["batches"] and path[1:] and path[1] in self.batches:
            return self.look(self.batches[path[1]])
        if path[:1] == ["files"] and path[-1] == "content":
            return self.files.get(path[1])
        return None

    def post(self, path: list[str], body: Any) -> Any:
        """Answer a POST: a new file, a new batch, or a cancel."""
        if path == ["files"]:
            name = f"file-{len(self.files)}"
            self.files[name] = body
            return {
                "id": name, "object": "file", "bytes": len(body), "created_at": 0,
                "filename": "requests.jsonl", "purpose": "batch", "status": "processed",
            }  # fmt: skip
        if path == ["batches"]:
            return self.start(body)
        if path[1] not in self.cancelled:
            self.statuses = deque(["cancelling", "cancelled"])
        self.cancelled.append(path[1])
        return {**self.batches[path[1]], "status": "cancelling"}

    def start(self, body: dict[str, Any]) -> dict[str, Any]:
        """Take a batch."""
        name = f"batch-{len(self.batches)}"
        self.batches[name] = {
            **body, "id": name, "object": "batch", "created_at": 0, "status": "validating",
        }  # fmt: skip
        return self.batches[name]

    def look(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Say how a batch is; its files are there once it has ended."""
        status = self.statuses.popleft() if len(self.statuses) > 1 else self.statuses[0]
        requests = [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]
        seen = {
            **batch, "status": status,
            "request_counts": {"total": len(requests), "completed": 1, "failed": 0},
        }  # fmt: skip
        if status == "failed":
            return {**seen, "errors": {"object": "list", "data": self.errors}}
        if status in ("completed", "expired", "cancelled"):
            seen |= self.kept("output_file_id", self.answer(requests))
            seen |= self.kept("error_file_id", self.failed(requests))
        elif status == "finalizing":
            # The id may be known before the file is whole.
            seen |= self.kept("output_file_id", self.answer(requests)[:1])
        return seen

    def kept(self, key: str, lines: list[Any]) -> dict[str, str]:
        """Keep a file, unless it would be empty: the protocol then names none."""
        if not lines:
            return {}
        texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
        name = f"file-{len(self.files)}"
        self.files[name] = ("\n".join(texts) + "\n").encode()
        return {key: name}


def _upload(content_type: str, body: bytes) -> bytes:
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    for part in BytesParser().parsebytes(head + body).walk():
        if part.get_filename():
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)
            return content
    raise AssertionError("a file was to be uploaded")


@contextmanager
def running_batches() -> Iterator[BatchEndpoint]:
    """Serve batches on this machine until the block ends."""
    fake = BatchEndpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send(fake.get(self.parts()))

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"] or 0))
            kind = self.headers.get("Content-Type", "")
            is_file = kind.startswith("multipart/")
            body = _upload(kind, raw) if is_file else json.loads(raw or b"{}")
            self.send(fake.post(self.parts(), body))

        def parts(self) -> list[str]:
            return self.path.partition("?")[0].removeprefix("/v1/").split("/")

        def send(self, body: Any) -> None:
            self.send_response(404 if body is None else 200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body if isinstance(body, bytes) else json.dumps(body).encode())

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    fake.base_url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield fake
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

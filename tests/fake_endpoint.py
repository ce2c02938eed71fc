"""An endpoint on this machine that answers as recorded, and misbehaves on request."""

import json
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

RESPONSE = re.compile(r"\[(\w{12}) response ([A-J])\]\n(.*?)\n\[\1 end of response \2\]", re.DOTALL)


@dataclass
class Misbehaviour:
    """One answer that is not a verdict."""

    status: int = 200
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0


@dataclass
class FakeEndpoint:
    """Prefers what ``prefer`` says about the two shown texts; ``script`` comes first.

    More than two texts are answered by ``rank``, which is given them by their letters.
    """

    prefer: Callable[[str, str], str] = lambda first, second: "A"
    rank: Callable[[dict[str, str]], dict[str, Any]] = lambda shown: {"ranking": list(shown)}
    script: deque[Misbehaviour] = field(default_factory=deque)
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    base_url: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, body: dict[str, Any]) -> str:
        """Return the verdict on the two responses in the request."""
        shown = {label: text for _, label, text in RESPONSE.findall(body["messages"][1]["content"])}
        if len(shown) > 2:
            return json.dumps(self.rank(shown))
        verdict = self.prefer(shown["A"], shown["B"])
        return json.dumps({"verdict": verdict, "strength": 0 if verdict == "tie" else 2})

    def next_misbehaviour(self, body: dict[str, Any], key: str | None) -> Misbehaviour | None:
        """Record a request and return what to do instead of answering it."""
        with self.lock:
            self.requests.append(body)
            self.keys.append(key)
            return self.script.popleft() if self.script else None


def completion(text: str) -> str:
    """A chat completion as the protocol has it."""
    return json.dumps(
        {
            "id": "x",
            "object": "chat.completion",
            "created": 0,
            "model": "fake-1",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "stop",
                    "message": {"role": "assistant", "content": text},
                }
            ],
            "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
        }
    )


@contextmanager
def running_endpoint() -> Iterator[FakeEndpoint]:
    """Serve a fake endpoint on this machine until the block ends."""
    fake = FakeEndpoint()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            odd = fake.next_misbehaviour(body, self.headers.get("Authorization"))
            odd = odd or Misbehaviour(body=completion(fake.answer(body)))
            time.sleep(odd.delay_s)
            self.send_response(odd.status)
            for name, value in {"Content-Type": "application/json", **odd.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(odd.body.encode())

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

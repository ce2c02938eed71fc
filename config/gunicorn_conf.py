"""How gunicorn serves the pages: `gunicorn -c python:config.gunicorn_conf config.wsgi`."""

import gc
import signal
from typing import Any

from config.settings import HOST, PORT, WEB_THREADS, WEB_WORKERS
from modeling.processes import die_with_parent

bind = f"[{HOST}]:{PORT}" if ":" in HOST else f"{HOST}:{PORT}"
worker_class = "gthread"
workers = WEB_WORKERS
threads = WEB_THREADS
timeout = 60
graceful_timeout = 5
keepalive = 5
accesslog = None
errorlog = "-"
loglevel = "warning"
# Long exports stream for minutes; a worker that leaks is replaced now and then.
max_requests = 20_000
max_requests_jitter = 2_000


def post_fork(_server: Any, _worker: Any) -> None:
    """Let a worker stop with its master, so that kill -9 frees the port."""
    die_with_parent(signal.SIGTERM)


def post_worker_init(_worker: Any) -> None:
    """Let the collector leave alone what was loaded: walking through it stops every request."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)

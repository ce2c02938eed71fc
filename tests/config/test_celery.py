"""Tasks reach their queue, survive their worker, and run in a real worker."""

import json
import time
from typing import Any

import pytest
import redis as redis_client
from django.conf import settings

from config.celery import app, return_unfinished_tasks


@pytest.mark.parametrize(
    ("task", "queue"),
    [
        ("modeling.tasks.training_run_execute", "training"),
        ("modeling.tasks.judge_run", "judges"),
        ("modeling.tasks.feature_run_execute", "features"),
        ("modeling.tasks.score_run_execute", "features"),
        ("modeling.tasks.filter_run_execute", "features"),
        ("modeling.tasks.outside_test_execute", "features"),
        ("modeling.tasks.gate_run_execute", "training"),
        ("modeling.tasks.audit_run_execute", "training"),
        ("modeling.tasks.embed_project", "features"),
        ("routing.tasks.acquisition_round_execute", "training"),
        ("annotate.tasks.import_run", "default"),
        ("modeling.tasks.jobs_reap", "default"),
    ],
)
def test_a_task_goes_to_the_queue_of_its_kind(task: str, queue: str) -> None:
    assert app.amqp.router.route({}, task)["queue"].name == queue


@pytest.mark.parametrize("name", sorted(settings.CELERY_BEAT_SCHEDULE))
def test_every_scheduled_task_exists(name: str) -> None:
    app.loader.import_default_modules()
    assert settings.CELERY_BEAT_SCHEDULE[name]["task"] in app.tasks


def unacked(client: "redis_client.Redis", tag: str, queue: str) -> None:
    """Leave in the broker what a worker that was killed in the middle of a task leaves."""
    properties = {"delivery_tag": tag, "delivery_info": {"exchange": "", "routing_key": queue}}
    message = {"body": "", "headers": {"id": tag}, "properties": properties}
    entry = json.dumps([message, "", queue])
    client.hset(f"{settings.REDIS_PREFIX}unacked", tag, entry)
    client.zadd(f"{settings.REDIS_PREFIX}unacked_index", {tag: 1.0})


def queued(client: "redis_client.Redis", queue: str) -> list[Any]:
    entries = client.lrange(f"{settings.REDIS_PREFIX}{queue}", 0, -1)
    return [json.loads(entry)["headers"]["id"] for entry in entries]


def test_tasks_of_a_vanished_worker_return_to_their_queue_and_others_stay(
    redis: "redis_client.Redis",
) -> None:
    unacked(redis, "lost", "training")
    unacked(redis, "running", "judges")
    assert return_unfinished_tasks(frozenset({"training"})) == 1
    assert queued(redis, "training") == ["lost"]
    assert redis.hkeys(f"{settings.REDIS_PREFIX}unacked") == [b"running"]


def test_nothing_returns_when_nothing_was_taken(redis: "redis_client.Redis") -> None:
    assert return_unfinished_tasks(frozenset({"training", "default"})) == 0


def tasks_done() -> dict[str, int]:
    """Return how many tasks of each name the running workers have finished."""
    stats = app.control.inspect(timeout=1).stats() or {}
    return {name: n for worker in stats.values() for name, n in worker["total"].items()}


@pytest.mark.slow
def test_a_real_worker_takes_a_task_from_the_queue(celery_worker_process: Any) -> None:
    with celery_worker_process("training"):
        app.send_task("celery.accumulate", args=[1, 2], queue="training")
        deadline = time.monotonic() + 20
        while not tasks_done() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert tasks_done() == {"celery.accumulate": 1}

"""A change of the protocol beside people at work: neither waits for the other for ever."""

import threading
import time
from decimal import Decimal

import pytest
from django.db import connection, transaction

from annotate.models import Comparison, Project
from annotate.services.projects import protocol_change
from annotate.services.slots import comparisons_lock, project_commit_money
from tests.factories import make_comparison, make_project

WAITS_FOR_US = """
SELECT count(*) FROM pg_locks
WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))
"""


def somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(WAITS_FOR_US)
        return bool(cursor.fetchone()[0])


def wait_for_a_waiter() -> None:
    deadline = time.monotonic() + 20
    while not somebody_waits():
        assert time.monotonic() < deadline, "The change never met the lock."
        time.sleep(0.02)


def change_overlap(project: Project) -> None:
    try:
        protocol_change(project=project, user=None, overlap=3)
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_an_overlap_changes_while_somebody_takes_a_comparison() -> None:
    project = make_project(protocol={"overlap": 1})
    comparison = make_comparison(project)
    change = threading.Thread(target=change_overlap, args=[project])
    # As a lease does: the comparison first, then the money.
    with transaction.atomic():
        comparisons_lock(comparison_ids=[comparison.pk])
        change.start()
        wait_for_a_waiter()
        project_commit_money(project_id=project.pk, amount_usd=Decimal("0.50"))
    change.join(20)
    assert project.protocol.overlap == 3
    assert Comparison.objects.get(pk=comparison.pk).wanted_labels == 3
    assert Project.objects.get(pk=project.pk).committed_usd == Decimal("0.50")

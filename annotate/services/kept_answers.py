"""Claiming a key before the work and keeping the answer after it, in one row of PostgreSQL."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db import connection
from django.utils import timezone

from annotate.models import KeptAnswer

KEPT = timedelta(days=1)
# A process that dies while it answers leaves its claim behind for this long.
CLAIMED = timedelta(minutes=5)

# One statement: of many requests at once exactly one inserts the row, or takes over an expired one.
_CLAIM = """
INSERT INTO annotate_keptanswer AS kept
    (place, fingerprint, claim, status, body, headers, expires_at)
VALUES (%(place)s, %(fingerprint)s, %(claim)s, 0, '', '{}', %(now)s + %(claimed)s)
ON CONFLICT (place) DO UPDATE SET fingerprint = excluded.fingerprint, claim = excluded.claim,
    status = 0, body = '', headers = '{}', expires_at = excluded.expires_at
WHERE kept.expires_at <= %(now)s
RETURNING claim
"""


def answer_claim(*, place: str, fingerprint: str) -> UUID | None:
    """Claim a place for the request at work; ``None`` where another one has it."""
    values: dict[str, Any] = {"place": place, "fingerprint": fingerprint, "claim": uuid4()}
    values |= {"now": timezone.now(), "claimed": CLAIMED}
    with connection.cursor() as cursor:
        cursor.execute(_CLAIM, values)
        row = cursor.fetchone()
    return row[0] if row else None


def answer_keep(
    *, place: str, claim: UUID, status: int, body: bytes, headers: dict[str, str]
) -> bool:
    """Keep the answer for a day, if the claim is still the caller's."""
    expires_at = timezone.now() + KEPT
    ours = KeptAnswer.objects.filter(place=place, claim=claim, status=0)
    return bool(ours.update(status=status, body=body, headers=headers, expires_at=expires_at))


def answer_forget(*, place: str, claim: UUID) -> None:
    """Give a claim back, so that the request can be tried again."""
    KeptAnswer.objects.filter(place=place, claim=claim, status=0).delete()


def answers_tidy() -> int:
    """Delete what has expired; say how many."""
    return KeptAnswer.objects.filter(expires_at__lte=timezone.now()).delete()[0]

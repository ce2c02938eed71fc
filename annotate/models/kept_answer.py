"""Answers to requests that carried a key, so that a retry gets them instead of doing it again."""

from django.db import models


class KeptAnswer(models.Model):
    """The first answer to a caller's key, or (``status`` 0) the claim of the request at work.

    ``place`` hashes caller and key, ``fingerprint`` the request that the key belongs to.
    """

    place = models.CharField(primary_key=True, max_length=64)
    fingerprint = models.CharField(max_length=64)
    claim = models.UUIDField()
    status = models.PositiveSmallIntegerField(default=0)
    body = models.BinaryField(default=b"")
    headers = models.JSONField(default=dict)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.status or 'claim'} until {self.expires_at:%Y-%m-%d %H:%M}"

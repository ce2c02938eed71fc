"""Sessions that can be read on a journey that a request makes to PostgreSQL anyway.

Otherwise they are Django's: written to PostgreSQL and read from the cache. Reading one from there
is a journey of its own, which somebody who labels would wait for with every comparison.
"""

from typing import Any, TypeVar

from django.contrib.sessions.backends.cached_db import SessionStore as CachedStore

from annotate.prepared import Statement, by_position

MOST_KEPT = 10_000
V = TypeVar("V")
_JOINED = """
SELECT kept.session_data, beside.*
FROM django_session kept LEFT JOIN LATERAL ({more}) AS beside ON true
WHERE kept.session_key = %s AND kept.expire_date > now()
"""
# Whose a session was when this process last read it; what is asked for them is used only if the
# session that comes with it still says so.
_guesses: dict[str, int] = {}
# What a text was decoded to: checking its signature takes longer than reading its row.
_decoded: dict[str, dict[str, Any]] = {}


class SessionStore(CachedStore):
    """Django's session in cache and database, which can also travel with another statement."""

    def user_guessed(self) -> int | None:
        """Whose session this probably is, unless it is read already."""
        if hasattr(self, "_session_cache") or self.session_key is None:
            return None
        return _guesses.get(self.session_key)

    def user_remember(self, user_id: int) -> None:
        """Guess this user the next time."""
        if self.session_key is not None and _guesses.get(self.session_key) != user_id:
            _made_room(_guesses)[self.session_key] = user_id

    def statement_with(self, other: Statement | None) -> Statement:
        """The session's data and then the columns of another statement of one row at most."""
        more, values = ("SELECT NULL", []) if other is None else by_position(other)
        return _JOINED.format(more=more), [*values, self.session_key]

    def read_from(self, data: str) -> None:
        """Take what ``statement_with`` found for what the session holds."""
        known = _decoded.get(data)
        self._session_cache: dict[str, Any] = self.decode(data) if known is None else dict(known)
        if known is None and all(isinstance(v, str | int) for v in self._session_cache.values()):
            _made_room(_decoded)[data] = dict(self._session_cache)


def _made_room(kept: dict[str, V]) -> dict[str, V]:
    if len(kept) >= MOST_KEPT:
        kept.clear()
    return kept

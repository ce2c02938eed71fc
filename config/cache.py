"""The cache in Redis, with a client that is kept and a short way to read."""

import os
from threading import local
from typing import Any

from django.core.cache.backends.redis import RedisCache, RedisCacheClient
from redis.exceptions import RedisError


class _Line(local):
    """This thread's own connection."""

    pid = 0
    connection: Any = None


class KeptClient(RedisCacheClient):
    """Django makes a client for every command, which takes longer than the command."""

    def __init__(self, servers: list[str], **options: Any) -> None:
        super().__init__(servers, **options)
        self._kept = super().get_client(write=True)
        self._line = _Line()

    def get_client(self, key: Any = None, *, write: bool = False) -> Any:
        """Return the client of the one server; threads may share it."""
        return self._kept

    def get(self, key: Any, default: Any) -> Any:
        """Read a value: every request does, to know its session.

        Most of what the client does around a command (choosing and returning a connection, events,
        counters) is not needed for one that may simply be asked again.
        """
        line = self._line
        if line.pid != os.getpid():
            line.pid, line.connection = os.getpid(), self._kept.connection_pool.make_connection()
        try:
            line.connection.send_packed_command(line.connection.pack_command("GET", key))
            value = line.connection.read_response()
        except (RedisError, OSError):
            line.connection.disconnect()
            return super().get(key, default)
        except BaseException:
            # Its answer may still be on the way.
            line.connection.disconnect()
            raise
        # The type stubs do not know it.
        loads = self._serializer.loads  # type: ignore[attr-defined]
        return default if value is None else loads(value)


class KeptRedisCache(RedisCache):
    """Django's cache in one Redis."""

    def __init__(self, server: str, params: dict[str, Any]) -> None:
        super().__init__(server, params)
        self._class = KeptClient

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.cache import cache

from config.cache import KeptRedisCache

pytestmark = pytest.mark.usefixtures("redis")


def test_the_client_is_kept_and_serves_several_threads() -> None:
    kept = KeptRedisCache(*_server())
    cache.clear()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: kept.set(f"key-{n}", n, timeout=60), range(40)))
        found = list(pool.map(lambda n: kept.get(f"key-{n}"), range(40)))
    assert found == list(range(40))
    assert kept.add("key-1", "other", timeout=60) is False
    assert kept._cache.get_client("a") is kept._cache.get_client("b", write=True)
    assert kept.get("unknown", "fallback") == "fallback"


def _server() -> tuple[str, dict[str, str]]:
    from django.conf import settings

    own = settings.CACHES["default"]
    return own["LOCATION"], {"KEY_PREFIX": f"{own['KEY_PREFIX']}-kept"}


def test_a_value_is_read_after_its_connection_was_lost() -> None:
    kept = KeptRedisCache(*_server())
    kept.set("lost", {"line": 1})
    assert kept.get("lost") == {"line": 1}
    kept._cache._line.connection._sock.close()  # type: ignore[attr-defined]
    assert [kept.get("lost"), kept.get("lost"), kept.get("never", 7)] == [{"line": 1}] * 2 + [7]

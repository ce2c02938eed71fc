from concurrent.futures import ThreadPoolExecutor

from django.core.cache import cache

from config.cache import KeptRedisCache


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

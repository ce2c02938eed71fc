"""How many requests a token, a person or an address may send; counted in Redis."""

import math
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponseBase
from redis import Redis
from rest_framework.request import Request
from rest_framework.settings import api_settings
from rest_framework.throttling import BaseThrottle

from annotate.models import ApiToken

UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_TOLD = "_tandem_rate"


@dataclass(frozen=True)
class Rate:
    """Where a caller stands in the current window."""

    limit: int
    n_used: int
    reset_s: int

    @property
    def n_left(self) -> int:
        """Requests that are left in this window."""
        return max(0, self.limit - self.n_used)


class RequestRate(BaseThrottle):
    """Count requests in fixed windows, each token for itself."""

    rate: Rate | None = None

    def allow_request(self, request: Request, view: Any) -> bool:
        name, limit, window_s = self._caller(request)
        now = time.time()
        used = _counted(f"rate:{name}:{int(now // window_s)}", timeout=window_s * 2)
        self.rate = Rate(limit, used, math.ceil(window_s - now % window_s))
        setattr(request._request, _TOLD, self.rate)
        return used <= limit

    def wait(self) -> float | None:
        return self.rate.reset_s if self.rate else None

    def _caller(self, request: Request) -> tuple[str, int, int]:
        token, user = request.auth, request.user
        if not isinstance(user, User):
            return (f"ip-{self.get_ident(request)}", *rate_read("anon"))
        limit, window_s = rate_read("user")
        if not isinstance(token, ApiToken):
            return f"user-{user.pk}", limit, window_s
        if token.rate_per_minute is not None:
            limit, window_s = token.rate_per_minute, UNIT_SECONDS["m"]
        return f"token-{token.pk}", limit, window_s


@cache
def _redis() -> Redis:
    return Redis.from_url(settings.REDIS_URL)


def _counted(name: str, *, timeout: int) -> int:
    """Count in one journey, and in one step: a key without an end would stay for ever."""
    key = f"{settings.REDIS_PREFIX}{name}"
    with _redis().pipeline(transaction=True) as step:
        step.set(key, 0, ex=timeout, nx=True)
        step.incr(key)
        return int(step.execute()[-1])


def rate_read(name: str) -> tuple[int, int]:
    """Return the configured limit and its window in seconds, such as (1200, 60)."""
    count, _, unit = str(api_settings.DEFAULT_THROTTLE_RATES[name]).partition("/")
    return int(count), UNIT_SECONDS[unit[:1]]


def rate_headers(request: HttpRequest, response: HttpResponseBase) -> None:
    """Tell the caller where it stands."""
    rate = getattr(request, _TOLD, None)
    if rate is not None:
        response.headers["RateLimit-Limit"] = str(rate.limit)
        response.headers["RateLimit-Remaining"] = str(rate.n_left)
        response.headers["RateLimit-Reset"] = str(rate.reset_s)

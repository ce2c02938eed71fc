"""API tokens: shown once, stored as a digest."""

import hashlib
import secrets
from datetime import datetime

from django.contrib.auth.models import User
from django.db.models import Q
from django.utils import timezone

from annotate.errors import ApplicationError
from annotate.models import ApiToken

PREFIX = "tdm_"


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def api_token_create(
    *, user: User, name: str, scope: str = ApiToken.Scope.READ, expires_at: datetime | None = None
) -> tuple[ApiToken, str]:
    """Make a token; return the row and the secret, which is never readable again."""
    if scope not in ApiToken.Scope.values:
        raise ApplicationError(
            f"Unknown scope {scope!r}; use one of {', '.join(ApiToken.Scope.values)}.",
            field="scope",
        )
    if not name.strip():
        raise ApplicationError(
            "Give the token a name, so that you can tell it later.", field="name"
        )
    secret = PREFIX + secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        user=user,
        name=name.strip()[:80],
        prefix=secret[:10],
        digest=_digest(secret),
        scope=scope,
        expires_at=expires_at,
    )
    return token, secret


def api_token_find(*, secret: str) -> ApiToken | None:
    """Return the live token of a secret and note that it was used."""
    now = timezone.now()
    live = Q(expires_at__isnull=True) | Q(expires_at__gt=now)
    tokens = ApiToken.objects.filter(live, digest=_digest(secret), revoked_at__isnull=True)
    token = tokens.select_related("user").filter(user__is_active=True).first()
    if token is not None and (
        token.last_used_at is None or (now - token.last_used_at).total_seconds() > 60
    ):
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)
    return token


def api_token_revoke(*, token: ApiToken) -> None:
    """End a token; a second time changes nothing."""
    ApiToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(revoked_at=timezone.now())

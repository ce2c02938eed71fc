"""A POST with an ``Idempotency-Key`` is done once; the same key again gets the first answer.

Answers are kept for a day in PostgreSQL. A key that is in use answers 409, a key that was used for
another request 422. What failed on our side or was refused for its rate is not kept, so that it can
be tried again.
"""

import hashlib
import re
from collections.abc import Callable
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase

from annotate.api.errors import CONTENT_TYPE, problem
from annotate.models import KeptAnswer
from annotate.services.kept_answers import answer_claim, answer_forget, answer_keep
from annotate.services.tokens import api_token_find

HEADER = "Idempotency-Key"
KEY = re.compile(r"[\x21-\x7e]{1,200}")
MAX_KEPT_BYTES = 2**20
NOT_KEPT = frozenset({401, 403, 429})
KEPT_HEADERS = ("Content-Type", "Location", "ETag")


def answer_once(
    request: HttpRequest, get_response: Callable[[HttpRequest], HttpResponseBase]
) -> HttpResponseBase:
    """Answer a request, from what was kept if its key was used before."""
    key = request.headers.get(HEADER)
    caller = _caller(request) if key is not None and request.method == "POST" else ""
    if key is None or not caller:
        return get_response(request)
    if not KEY.fullmatch(key):
        return _refusal(400, f"{HEADER} must be 1 to 200 visible ASCII characters, such as a UUID.")
    place = hashlib.sha256(f"{caller}:{key}".encode()).hexdigest()
    fingerprint = _fingerprint(request)
    claim = answer_claim(place=place, fingerprint=fingerprint)
    if claim is None:
        return _known(place, fingerprint)
    return _answered(place, claim, request, get_response)


def _answered(
    place: str,
    claim: UUID,
    request: HttpRequest,
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> HttpResponseBase:
    is_kept = False
    try:
        response = get_response(request)
        is_kept = _keep(place, claim, response)
    finally:
        # Also after an exception: the claim must not outlive a request that came to nothing.
        if not is_kept:
            answer_forget(place=place, claim=claim)
    return response


def _keep(place: str, claim: UUID, response: HttpResponseBase) -> bool:
    if not isinstance(response, HttpResponse) or response.status_code >= 500:
        return False
    if response.status_code in NOT_KEPT or len(response.content) > MAX_KEPT_BYTES:
        return False
    headers = {name: response[name] for name in KEPT_HEADERS if name in response}
    return answer_keep(
        place=place, claim=claim, status=response.status_code, body=response.content,
        headers=headers,
    )  # fmt: skip


def _known(place: str, fingerprint: str) -> HttpResponse:
    kept = KeptAnswer.objects.filter(place=place).first()
    if kept is not None and kept.fingerprint != fingerprint:
        return _refusal(422, f"This {HEADER} was used for another request. Draw a new one.")
    if kept is None or not kept.status:
        response = _refusal(409, f"The first request with this {HEADER} is still being answered.")
        response["Retry-After"] = "1"
        return response
    response = HttpResponse(bytes(kept.body), status=kept.status)
    del response["Content-Type"]
    for name, value in kept.headers.items():
        response[name] = value
    response["Idempotent-Replayed"] = "true"
    return response


def _caller(request: HttpRequest) -> str:
    """Who asks, so that nobody gets another's answer; empty for whoever is refused anyway."""
    kind, _, secret = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() in ("bearer", "token"):
        token = api_token_find(secret=secret.strip())
        return f"token-{token.pk}" if token else ""
    return f"user-{request.user.pk}" if request.user.is_authenticated else ""


def _fingerprint(request: HttpRequest) -> str:
    digest = hashlib.sha256(request.get_full_path().encode())
    if request.content_type == "multipart/form-data":
        # Not read here: a file may be larger than the memory, and its boundary is drawn anew.
        digest.update(request.headers.get("Content-Length", "").encode())
    else:
        digest.update(request.body)
    return digest.hexdigest()


def _refusal(status: int, detail: str) -> HttpResponse:
    return JsonResponse(problem(status, detail), status=status, content_type=CONTENT_TYPE)

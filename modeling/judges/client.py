"""Asking an OpenAI-compatible endpoint: patient with overload, plain about refusals."""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC
from random import Random
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from modeling.core.judge_prompts import MAX_REPLY_TOKENS, Message
from modeling.judges.addresses import address_check

if TYPE_CHECKING:
    from openai import APIStatusError

MAX_ATTEMPTS = 6
FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 60.0
RETRIED_STATUSES = frozenset({408, 409, 425, 429})
# What is wrong with every question, not just with this one.
HOPELESS_STATUSES = frozenset({301, 302, 303, 307, 308, 401, 402, 403, 404, 405})


class QuestionFailed(Exception):
    """One question got no reply; others may."""


class MalformedReply(Exception):
    """The endpoint sent something that is no chat completion."""


class EndpointRefused(Exception):
    """The endpoint will answer no question at all; the message says what to mend."""


@dataclass(frozen=True)
class Endpoint:
    """Where a judge is asked."""

    base_url: str
    model: str
    api_key: str = ""
    timeout_s: float = 60.0


@dataclass(frozen=True)
class RawReply:
    """A reply as it came, with what it cost in tokens and time."""

    text: str
    model_reported: str
    input_tokens: int
    output_tokens: int
    latency_ms: int


class JudgeClient:
    """A client of one endpoint, safe to share between threads.

    ``wait`` sleeps between attempts and returns true when the run was cancelled meanwhile.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        rng: Random,
        wait: Callable[[float], bool],
        max_attempts: int = MAX_ATTEMPTS,
    ) -> None:
        import openai

        self.endpoint = endpoint
        self._rng = rng
        self._wait = wait
        self._max_attempts = max_attempts
        # Redirects are not followed and every request is checked, so that no public name can lead
        # into the private network.
        self._http = openai.DefaultHttpxClient(
            follow_redirects=False, event_hooks={"request": [_check_request]}
        )
        self._openai = openai.OpenAI(
            base_url=endpoint.base_url,
            api_key=endpoint.api_key or "none",
            max_retries=0,
            timeout=endpoint.timeout_s,
            http_client=self._http,
        )

    def close(self) -> None:
        """Close the connections."""
        self._openai.close()

    def ask(self, messages: Sequence[Message]) -> RawReply:
        """Return the endpoint's reply, trying again while it is only busy.

        Raises
        ------
        QuestionFailed
            If this question got no reply in all attempts.
        EndpointRefused
            If the endpoint refuses every question: wrong key, unknown model, redirect.
        """
        import openai

        problem = ""
        for attempt in range(self._max_attempts):
            try:
                return self._ask_once(messages)
            except openai.APIStatusError as error:
                problem = _status_problem(self.endpoint, error)
                if error.status_code in HOPELESS_STATUSES:
                    raise EndpointRefused(problem) from None
                if not _is_retried(error.status_code):
                    raise QuestionFailed(problem) from None
                delay = _retry_after_s(error.response.headers.get("retry-after"))
            except (openai.APIConnectionError, MalformedReply) as error:
                problem = f"{self.endpoint.base_url} did not answer ({error})."
                delay = None
            if attempt + 1 < self._max_attempts and self._wait(self._delay_s(attempt, delay)):
                break
        raise QuestionFailed(problem)

    def _ask_once(self, messages: Sequence[Message]) -> RawReply:
        started = time.monotonic()
        completion = self._openai.chat.completions.with_raw_response.create(
            model=self.endpoint.model,
            messages=list(messages),  # type: ignore[arg-type]
            temperature=0.0,
            max_tokens=MAX_REPLY_TOKENS,
        )
        latency_ms = round(1000 * (time.monotonic() - started))
        return _raw_reply(completion.http_response.content, messages, latency_ms)

    def _delay_s(self, attempt: int, asked: float | None) -> float:
        backoff = min(FIRST_DELAY_S * 2.0**attempt, LONGEST_DELAY_S)
        # Jitter keeps parallel workers from coming back all at once.
        jittered = backoff * (0.5 + self._rng.random())
        return max(jittered, asked) if asked is not None else jittered


def _check_request(request: Any) -> None:
    address_check(str(request.url))


def _is_retried(status: int) -> bool:
    return status in RETRIED_STATUSES or status >= 500


def _status_problem(endpoint: Endpoint, error: APIStatusError) -> str:
    status = error.status_code
    hints = {
        401: "check the key in the environment variable of this judge",
        402: "the account behind the key has no credit",
        403: "the key may not use this model",
        404: f"there is no model {endpoint.model!r} at {endpoint.base_url}, or the base URL lacks "
        "its /v1",
    }
    redirect = "check the base URL, for redirects are not followed"
    other = redirect if 300 <= status < 400 else str(error)[:200]
    return f"The endpoint answered {status}: {hints.get(status, other)}."


def _retry_after_s(header: str | None) -> float | None:
    """Read Retry-After, which is either seconds or a date."""
    if not header:
        return None
    try:
        seconds = float(header)
    except ValueError:
        seconds = _seconds_until(header)
    return min(max(seconds, 0.0), LONGEST_DELAY_S)


def _seconds_until(date: str) -> float:
    try:
        when = email.utils.parsedate_to_datetime(date)
    except ValueError:
        return 0.0
    aware = when if when.tzinfo else when.replace(tzinfo=UTC)
    return (aware - timezone.now()).total_seconds()


def _raw_reply(content: bytes, messages: Sequence[Message], latency_ms: int) -> RawReply:
    try:
        body = json.loads(content)
        text = body["choices"][0]["message"]["content"] or ""
        usage = body.get("usage") or {}
        # Some servers count nothing; four characters a token is then the usual estimate.
        sent = sum(len(message["content"]) for message in messages)
        input_tokens = int(usage.get("prompt_tokens", sent // 4))
        output_tokens = int(usage.get("completion_tokens", len(text) // 4))
    except (ValueError, TypeError, LookupError, AttributeError):
        # Whatever is wrong with it, it came from outside and is not a reply.
        raise MalformedReply(f"not a chat completion: {content[:80]!r}") from None
    return RawReply(
        text=str(text),
        model_reported=str(body.get("model") or "")[:200],
        input_tokens=max(input_tokens, 0),
        output_tokens=max(output_tokens, 0),
        latency_ms=latency_ms,
    )

"""Asking an OpenAI-compatible endpoint: patient with overload, plain about refusals."""

from __future__ import annotations

import email.utils
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from annotate.errors import ApplicationError
from modeling.core.judge_prompts import MAX_REPLY_TOKENS, Message
from modeling.judges.addresses import address_pin
from modeling.judges.limits import Gate, OpenGate
from modeling.judges.logprobs import shown_first_probability

if TYPE_CHECKING:
    import openai
    from openai import APIStatusError

CALM: Mapping[str, Any] = {"temperature": 0.0}
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
    fingerprint: str = ""
    shown_first: float | None = None
    """P(the response shown as A is better) by token probabilities, where they were asked for."""
    cost_usd: Decimal | None = None
    """What a reply from the cache cost when it was new."""


class JudgeClient:
    """A client of one endpoint, safe to share between threads.

    ``wait`` sleeps between attempts and returns true when the run was cancelled meanwhile; every
    request passes ``gate``.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        rng: Random,
        wait: Callable[[float], bool],
        max_attempts: int = MAX_ATTEMPTS,
        gate: Gate | None = None,
    ) -> None:
        import openai

        self.endpoint = endpoint
        self._gate = gate or OpenGate()
        self._rng = rng
        self._wait = wait
        self._max_attempts = max_attempts
        # Redirects are not followed and every request is checked, so that no public name can lead
        # into the private network.
        self._http = openai.DefaultHttpxClient(
            follow_redirects=False, event_hooks={"request": [_pin_request]}
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

    @property
    def api(self) -> openai.OpenAI:
        """The plain client, for what is no question: files and batches."""
        return self._openai

    def ask(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int = MAX_REPLY_TOKENS,
        options: Mapping[str, Any] = CALM,
    ) -> RawReply:
        """Return the endpoint's reply, trying again while it is only busy.

        ``options`` go into the request.

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
                return self._ask_once(messages, max_tokens, options)
            except ApplicationError as error:
                raise EndpointRefused(error.message) from None
            except openai.APIStatusError as error:
                problem = _status_problem(self.endpoint, error)
                if error.status_code in HOPELESS_STATUSES:
                    raise EndpointRefused(problem) from None
                if not _is_retried(error.status_code):
                    raise QuestionFailed(problem) from None
                delay = _retry_after_s(error.response.headers.get("retry-after"))
                self._gate.pause(delay or 0.0)
            except (openai.APIConnectionError, MalformedReply) as error:
                problem = f"{self.endpoint.base_url} did not answer ({error})."
                delay = None
            if attempt + 1 < self._max_attempts and self._wait(self._delay_s(attempt, delay)):
                break
        raise QuestionFailed(problem)

    def _ask_once(
        self, messages: Sequence[Message], max_tokens: int, options: Mapping[str, Any]
    ) -> RawReply:
        ticket = self._gate.enter(likely_tokens(messages) + max_tokens, self._wait)
        if ticket is None:
            raise QuestionFailed("the run was stopped")
        started = time.monotonic()
        completion = self._openai.chat.completions.with_raw_response.create(
            model=self.endpoint.model,
            messages=list(messages),  # type: ignore[arg-type]
            max_tokens=max_tokens,
            **options,
        )
        latency_ms = round(1000 * (time.monotonic() - started))
        reply = raw_reply(completion.http_response.content, messages, latency_ms)
        self._gate.leave(ticket, reply.input_tokens + reply.output_tokens)
        return reply

    def _delay_s(self, attempt: int, asked: float | None) -> float:
        backoff = min(FIRST_DELAY_S * 2.0**attempt, LONGEST_DELAY_S)
        # Jitter keeps parallel workers from coming back all at once.
        jittered = backoff * (0.5 + self._rng.random())
        return max(jittered, asked) if asked is not None else jittered


def likely_tokens(messages: Sequence[Message]) -> int:
    """Estimate what a question counts against the endpoint's limit, rather too much than little."""
    return sum(len(message["content"].encode()) for message in messages) // 3


def _pin_request(request: Any) -> None:
    """Send a request to the very address that was checked, under the name that was asked for.

    Were the name looked up again for the connection, it could lead elsewhere by then.
    """
    host = request.url.host
    request.url = request.url.copy_with(host=address_pin(str(request.url)))
    request.extensions["sni_hostname"] = host


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


def raw_reply(content: bytes | str, messages: Sequence[Message], latency_ms: int) -> RawReply:
    """Read a chat completion.

    Raises
    ------
    MalformedReply
        If it is none.
    """
    try:
        body = json.loads(content)
        choice = body["choices"][0]
        text = choice["message"]["content"] or ""
        usage = body.get("usage") or {}
        # Some servers count nothing; four characters a token is then the usual estimate.
        sent = sum(len(message["content"]) for message in messages)
        input_tokens = int(usage.get("prompt_tokens", sent // 4))
        output_tokens = int(usage.get("completion_tokens", len(text) // 4))
        tokens = (choice.get("logprobs") or {}).get("content") or []
        shown_first = shown_first_probability(tokens)
    except (ValueError, TypeError, LookupError, AttributeError):
        # Whatever is wrong with it, it came from outside and is not a reply.
        raise MalformedReply(f"not a chat completion: {content[:80]!r}") from None
    return RawReply(
        text=str(text),
        model_reported=str(body.get("model") or "")[:200],
        input_tokens=max(input_tokens, 0),
        output_tokens=max(output_tokens, 0),
        latency_ms=latency_ms,
        fingerprint=str(body.get("system_fingerprint") or "")[:120],
        shown_first=shown_first,
    )

"""What an annotator may fetch and send. Nothing here knows a model name or another's label."""

from time import perf_counter, sleep
from typing import Any
from uuid import UUID

from django.utils.crypto import salted_hmac
from django.utils.translation import gettext
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from annotate.api.authentication import found_with_session
from annotate.api.labelling_rows import (
    ExpiryOutput,
    FlagInput,
    NextInput,
    ReturnInput,
    SkipInput,
    SubmitInput,
    SubmitOutput,
    TaskOutput,
)
from annotate.api.quick import LabellingView, checked
from annotate.errors import NoWork
from annotate.models import Annotator, Assignment
from annotate.prepared import Statement
from annotate.selectors.labelling import (
    Standing,
    annotator_progress,
    annotator_standing,
    given_verdict,
    shown_texts,
    work_is_with_others,
)
from annotate.services.assignments import (
    assignment_close,
    assignment_heartbeat,
    assignment_lease_next,
)
from annotate.services.desk import glance_read, glance_statement
from annotate.services.flags import flag_raise
from annotate.services.preferences import protocol_read, protocol_statement, verdict_submit
from annotate.services.quality_hooks import mixes_extras
from annotate.services.rendered import shown_html
from annotate.services.verdicts import VerdictInput

_NEXT, _SUBMIT = NextInput(), SubmitInput()
_RETURN, _SKIP, _FLAG = ReturnInput(), SkipInput(), FlagInput()
# A known answer takes longer to find than work does. Where any are mixed in, every comparison comes
# this late, or whoever times the answers would know; the page asks ahead and never waits for it.
EVEN_S = 0.025
LABELS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class NextView(LabellingView):
    """Lease the next comparison."""

    def read_along(self, user_id: int, slug: str) -> Statement:
        return glance_statement(user_id=user_id, slug=slug)

    @extend_schema(request=NextInput, responses=TaskOutput)
    def post(self, request: Request, slug: str) -> Response:
        begun = perf_counter()
        annotator, found = self.annotator(request, slug), found_with_session(request)
        body = checked(_NEXT, request.data)
        try:
            assignment = assignment_lease_next(
                annotator=annotator,
                exclude=body["exclude"],
                with_progress=body["progress"],
                glance=glance_read(annotator=annotator, rows=found.along) if found else None,
            )
        except NoWork as error:
            return Response(_task(None, annotator, reason=error.message))
        task = _task(assignment, annotator)
        if mixes_extras(annotator=annotator):
            sleep(max(0.0, begun + EVEN_S - perf_counter()))
        return Response(task)


class AssignmentView(LabellingView):
    """Read one's own assignment again."""

    @extend_schema(responses=TaskOutput)
    def get(self, request: Request, slug: str, public_id: UUID) -> Response:
        assignment = self.assignment(request, slug, public_id)
        annotator = assignment.annotator
        given = given_verdict(assignment=assignment)
        return Response(_task(assignment, annotator) | {"given": given})


class SubmitView(LabellingView):
    """Store a verdict once; the same idempotency key again changes nothing."""

    def read_along(self, user_id: int, slug: str) -> Statement:
        return protocol_statement(slug=slug)

    @extend_schema(request=SubmitInput, responses={201: SubmitOutput, 200: SubmitOutput})
    def post(self, request: Request, slug: str, public_id: UUID) -> Response:
        assignment, found = self.assignment(request, slug, public_id), found_with_session(request)
        values = checked(_SUBMIT, request.data)
        key, revise = values.pop("idempotency_key"), values.pop("revise")
        version, ranking = values.pop("protocol_version", None), values.pop("ranking", None)
        done = verdict_submit(
            assignment=assignment,
            given=VerdictInput(**values, ranking=tuple(ranking) if ranking else None),
            idempotency_key=key,
            revise=revise,
            protocol_version=version,
            newest=protocol_read(rows=found.along) if found else None,
        )
        answer = {
            "preference_id": done.preference.pk,
            "feedback": vars(done.feedback) if done.feedback else None,
            "progress": vars(done.progress or annotator_progress(annotator=assignment.annotator)),
        }
        code = status.HTTP_201_CREATED if done.is_new else status.HTTP_200_OK
        return Response(answer, status=code)


class HeartbeatView(LabellingView):
    """Keep a lease alive while its comparison is on screen."""

    @extend_schema(request=None, responses=ExpiryOutput)
    def post(self, request: Request, slug: str, public_id: UUID) -> Response:
        assignment = assignment_heartbeat(assignment=self.assignment(request, slug, public_id))
        return Response({"expires_at": assignment.expires_at})


class ReturnView(LabellingView):
    """Give a comparison back unlabelled.

    A page that is left says until when it held the lease: if another page of the same person has
    been given the lease since, which shows in a later end, it stays.
    """

    @extend_schema(request=ReturnInput, responses={204: None})
    def post(self, request: Request, slug: str, public_id: UUID) -> Response:
        assignment = self.assignment(request, slug, public_id)
        body = checked(_RETURN, request.data)
        if assignment.expires_at <= body.get("expires_at", assignment.expires_at):
            assignment_close(assignment=assignment, state=Assignment.State.RETURNED)
        return Response(status=status.HTTP_204_NO_CONTENT)


class SkipView(LabellingView):
    """Pass a comparison on to somebody else."""

    @extend_schema(request=SkipInput, responses={204: None})
    def post(self, request: Request, slug: str, public_id: UUID) -> Response:
        body = checked(_SKIP, request.data)
        assignment_close(
            assignment=self.assignment(request, slug, public_id),
            state=Assignment.State.SKIPPED,
            skip_reason=body["reason"],
        )
        return Response(status=status.HTTP_204_NO_CONTENT)


class FlagView(LabellingView):
    """Tell the owner that something is wrong with a comparison; labelling goes on."""

    @extend_schema(request=FlagInput, responses={204: None})
    def post(self, request: Request, slug: str, public_id: UUID) -> Response:
        body = checked(_FLAG, request.data)
        flag_raise(assignment=self.assignment(request, slug, public_id), **body)
        return Response(status=status.HTTP_204_NO_CONTENT)


def _task(
    assignment: Assignment | None, annotator: Annotator, *, reason: str = ""
) -> dict[str, Any]:
    brought: Standing | None = getattr(assignment, "standing", None)
    standing = brought or annotator_standing(annotator=annotator)
    task = {
        "assignment": None,
        "comparison": None,
        "progress": vars(standing.progress) if standing.progress else None,
        "reason": reason,
        "given": None,
        "protocol_version": standing.protocol_version,
    }
    if assignment is None:
        return task | {"reason": reason or _reason(annotator)}
    lease = {
        "id": str(assignment.public_id),
        "expires_at": assignment.expires_at,
        "lease_seconds": standing.lease_seconds,
    }
    return task | {
        "assignment": lease,
        "comparison": _shown(assignment),
    }


def _shown(assignment: Assignment) -> dict[str, Any]:
    comparison, html = assignment.comparison, shown_html(assignment=assignment)
    return {
        "draft_key": _draft_key(assignment),
        "criterion": comparison.criterion,
        "prompt": [
            {"role": turn["role"], "html": shown}
            for turn, shown in zip(comparison.prompt.turns, html.turns, strict=True)
        ],
        "responses": [
            {"label": LABELS[place], "html": html.responses[place], "text": text}
            for place, text in enumerate(shown_texts(assignment=assignment))
        ],
    }


def _draft_key(assignment: Assignment) -> str:
    """What a draft is kept under: the same on a second lease, another one on a repeat.

    Not the comparison's own id, by which a repeat would give itself away.
    """
    whose = f"{assignment.annotator_id}:{assignment.comparison_id}:{assignment.replicate}"
    return salted_hmac("annotate.draft", whose).hexdigest()[:20]


def _reason(annotator: Annotator) -> str:
    if work_is_with_others(annotator=annotator):
        return gettext(
            "Every comparison that is still open is with somebody else. Come back later."
        )
    return gettext("Nothing is waiting for you. You have labelled everything that was open.")

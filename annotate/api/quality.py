"""Quality over REST: owners watch and act, reviewers decide, annotators see their own test."""

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from annotate.access import (
    get_alarm_for,
    get_annotator_for,
    get_annotator_of,
    get_comparison_for,
    get_flag_for,
    get_gold_for,
    get_owned_project_for,
    get_project_for,
    get_review_for,
    get_reviewed_project_for,
)
from annotate.api.quality_rows import (
    AgreementOutput,
    AlarmOutput,
    CheckOutput,
    FlagOutput,
    GoldChangeInput,
    GoldInput,
    GoldOutput,
    PersonOutput,
    PolicySerializer,
    QualificationOutput,
    ReviewDetailOutput,
    ReviewInput,
    ReviewOutput,
    agreement_rows,
    alarm_row,
    flag_row,
    gold_row,
    person_row,
    review_detail,
    review_row,
)
from annotate.models import Annotator, QualityPolicy
from annotate.selectors.quality import alarms_open, flags_open, golds, reviews_open
from annotate.selectors.quality_page import agreements, people
from annotate.services.alarms import alarms_check
from annotate.services.flags import flag_resolve
from annotate.services.gold import accepted_parse, gold_change, gold_create
from annotate.services.overrides import review_decide
from annotate.services.preferences import VerdictInput
from annotate.services.qualification import (
    annotator_qualify,
    qualification_start,
    qualification_state,
)
from annotate.services.quality import (
    alarm_resolve,
    annotator_pause,
    annotator_resume,
    quality_policy_change,
)


class PeopleView(APIView):
    """Everybody's figures with intervals, most labels first."""

    @extend_schema(responses=PersonOutput(many=True))
    def get(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        return Response([person_row(row) for row in people(project=access.project)])


class AgreementView(APIView):
    """Who agrees with whom, two by two, humans and judges."""

    @extend_schema(responses=AgreementOutput(many=True))
    def get(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        return Response(agreement_rows(agreements(project=access.project)))


class AlarmListView(APIView):
    """Open alarms; posting looks at everybody's labels now."""

    @extend_schema(responses=AlarmOutput(many=True))
    def get(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        return Response([alarm_row(alarm) for alarm in alarms_open(project=access.project)])

    @extend_schema(request=None, responses=CheckOutput)
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        return Response({"n_new": alarms_check(project=access.project)})


class AlarmCloseView(APIView):
    """Close an alarm."""

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request, slug: str, pk: int) -> Response:
        access = get_owned_project_for(request.user, slug)
        alarm_resolve(alarm=get_alarm_for(access, pk), user=access.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


class PauseView(APIView):
    """Pause somebody and take back what they hold."""

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request, slug: str, pk: int) -> Response:
        access = get_owned_project_for(request.user, slug)
        annotator = get_annotator_of(access, pk)
        reason = "Paused by the owner."
        annotator_pause(annotator=annotator, reason=reason, data={}, user=access.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


class ResumeView(APIView):
    """Let a paused annotator work again."""

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request, slug: str, pk: int) -> Response:
        access = get_owned_project_for(request.user, slug)
        annotator_resume(annotator=get_annotator_of(access, pk), user=access.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


class QualifyView(APIView):
    """Let somebody work without the test."""

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request, slug: str, pk: int) -> Response:
        access = get_owned_project_for(request.user, slug)
        annotator_qualify(annotator=get_annotator_of(access, pk), user=access.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


class PolicyView(APIView):
    """How the project watches over its labels."""

    @extend_schema(responses=PolicySerializer)
    def get(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        found = QualityPolicy.objects.filter(project=access.project).first()
        return Response(PolicySerializer(found or QualityPolicy()).data)

    @extend_schema(request=PolicySerializer, responses=PolicySerializer)
    def patch(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        body = PolicySerializer(data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        policy = quality_policy_change(
            project=access.project, user=access.user, **body.validated_data
        )
        return Response(PolicySerializer(policy).data)


class GoldListView(APIView):
    """Known answers."""

    @extend_schema(responses=GoldOutput(many=True))
    def get(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        return Response([gold_row(gold) for gold in golds(project=access.project)])

    @extend_schema(request=GoldInput, responses={201: GoldOutput})
    def post(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        body = GoldInput(data=request.data)
        body.is_valid(raise_exception=True)
        values = dict(body.validated_data)
        comparison = get_comparison_for(access, values.pop("comparison"))
        lines = "\n".join(values.pop("accepted"))
        accepted = accepted_parse(lines, n_responses=comparison.n_responses)
        gold = gold_create(comparison=comparison, user=access.user, accepted=accepted, **values)
        return Response(gold_row(gold), status=status.HTTP_201_CREATED)


class GoldView(APIView):
    """One known answer."""

    @extend_schema(request=GoldChangeInput, responses=GoldOutput)
    def patch(self, request: Request, slug: str, pk: int) -> Response:
        access = get_owned_project_for(request.user, slug)
        gold = get_gold_for(access, pk)
        body = GoldChangeInput(data=request.data, partial=True)
        body.is_valid(raise_exception=True)
        values = dict(body.validated_data)
        if "accepted" in values:
            lines = "\n".join(values["accepted"])
            n_responses = gold.comparison.n_responses
            values["accepted"] = accepted_parse(lines, n_responses=n_responses)
        return Response(gold_row(gold_change(gold=gold, user=access.user, **values)))


class FlagListView(APIView):
    """Open flags."""

    @extend_schema(responses=FlagOutput(many=True))
    def get(self, request: Request, slug: str) -> Response:
        access = get_owned_project_for(request.user, slug)
        return Response([flag_row(flag) for flag in flags_open(project=access.project)])


class FlagCloseView(APIView):
    """Close a flag."""

    @extend_schema(request=None, responses={204: None})
    def post(self, request: Request, slug: str, pk: int) -> Response:
        access = get_owned_project_for(request.user, slug)
        flag_resolve(flag=get_flag_for(access, pk), user=access.user)
        return Response(status=status.HTTP_204_NO_CONTENT)


class ReviewListView(APIView):
    """Conflicts that wait for a reviewer."""

    @extend_schema(responses=ReviewOutput(many=True))
    def get(self, request: Request, slug: str) -> Response:
        access = get_reviewed_project_for(request.user, slug)
        return Response([review_row(review) for review in reviews_open(project=access.project)])


class ReviewView(APIView):
    """One conflict with its nameless votes; posting decides it."""

    @extend_schema(responses=ReviewDetailOutput)
    def get(self, request: Request, slug: str, pk: int) -> Response:
        access = get_reviewed_project_for(request.user, slug)
        review, annotator = get_review_for(access, pk), get_annotator_for(access)
        return Response(review_detail(review, annotator))

    @extend_schema(request=ReviewInput, responses={201: ReviewOutput})
    def post(self, request: Request, slug: str, pk: int) -> Response:
        access = get_reviewed_project_for(request.user, slug)
        review, annotator = get_review_for(access, pk), get_annotator_for(access)
        body = ReviewInput(data=request.data)
        body.is_valid(raise_exception=True)
        values = dict(body.validated_data)
        key, ranking = values.pop("idempotency_key"), values.pop("ranking", None)
        given = VerdictInput(**values, ranking=tuple(ranking) if ranking else None)
        review_decide(review=review, annotator=annotator, given=given, idempotency_key=key)
        review.refresh_from_db()
        return Response(review_row(review), status=status.HTTP_201_CREATED)


class QualificationView(APIView):
    """The caller's own qualification test; posting begins another attempt."""

    @extend_schema(responses=QualificationOutput)
    def get(self, request: Request, slug: str) -> Response:
        return Response(_state(get_annotator_for(get_project_for(request.user, slug))))

    @extend_schema(request=None, responses={201: QualificationOutput})
    def post(self, request: Request, slug: str) -> Response:
        annotator = get_annotator_for(get_project_for(request.user, slug))
        qualification_start(annotator=annotator)
        return Response(_state(annotator), status=status.HTTP_201_CREATED)


def _state(annotator: Annotator) -> dict[str, Any]:
    return {**QualificationOutput(qualification_state(annotator=annotator)).data}


project_urls = [
    # /api/v1/projects/<slug>/…
    path("quality/people", PeopleView.as_view(), name="quality-people"),
    path("quality/people/<int:pk>/pause", PauseView.as_view(), name="annotator-pause"),
    path("quality/people/<int:pk>/resume", ResumeView.as_view(), name="annotator-resume"),
    path("quality/people/<int:pk>/qualify", QualifyView.as_view(), name="annotator-qualify"),
    path("quality/agreement", AgreementView.as_view(), name="quality-agreement"),
    path("quality/alarms", AlarmListView.as_view(), name="alarm-list"),
    path("quality/alarms/<int:pk>/close", AlarmCloseView.as_view(), name="alarm-close"),
    path("quality/policy", PolicyView.as_view(), name="quality-policy"),
    path("quality/golds", GoldListView.as_view(), name="gold-list"),
    path("quality/golds/<int:pk>", GoldView.as_view(), name="gold"),
    path("quality/flags", FlagListView.as_view(), name="flag-list"),
    path("quality/flags/<int:pk>/close", FlagCloseView.as_view(), name="flag-close"),
    path("reviews", ReviewListView.as_view(), name="review-list"),
    path("reviews/<int:pk>", ReviewView.as_view(), name="review"),
    path("qualification", QualificationView.as_view(), name="qualification"),
]

"""Addresses of the REST API, version 1."""

from django.urls import URLPattern, URLResolver, include, path

from annotate.api import (
    changes,
    comparisons,
    data,
    giving,
    labelling,
    projects,
    quality,
    settings,
    tokens,
    transfer,
    webhooks,
    workbench,
)

assignment_urls = [
    path("", labelling.AssignmentView.as_view(), name="assignment"),
    path("submit/", labelling.SubmitView.as_view(), name="assignment-submit"),
    path("heartbeat/", labelling.HeartbeatView.as_view(), name="assignment-heartbeat"),
    path("return/", labelling.ReturnView.as_view(), name="assignment-return"),
    path("skip/", labelling.SkipView.as_view(), name="assignment-skip"),
    path("flag/", labelling.FlagView.as_view(), name="assignment-flag"),
]

project_urls: list[URLPattern | URLResolver] = [
    # /api/v1/projects/<slug>/…
    path("", projects.ProjectDetailView.as_view(), name="project"),
    path("assignments/next/", labelling.NextView.as_view(), name="assignment-next"),
    path("assignments/<uuid:public_id>/", include(assignment_urls)),
    path("reservations/", giving.ReservationsView.as_view(), name="reservations"),
    path("reservations/release/", giving.ReleaseView.as_view(), name="reservations-release"),
    path("comparisons/skill/", giving.ComparisonSkillView.as_view(), name="comparisons-skill"),
    path(
        "annotators/<int:pk>/skills/",
        giving.AnnotatorSkillsView.as_view(),
        name="annotator-skills",
    ),
    *comparisons.project_urls,
    *changes.project_urls,
    *data.project_urls,
    *transfer.project_urls,
    *settings.project_urls,
    *webhooks.project_urls,
    *quality.project_urls,
]

app_name = "annotate_api"
urlpatterns = [
    path("projects/", projects.ProjectListView.as_view(), name="project-list"),
    path("projects/<slug:slug>/", include(project_urls)),
    *tokens.urls,
    path("workbench/keys/", workbench.KeysView.as_view(), name="workbench-keys"),
]

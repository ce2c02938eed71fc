"""Addresses of the REST API, version 1."""

from django.urls import URLPattern, URLResolver, include, path

from annotate.api import data, labelling, projects

assignment_urls = [
    path("", labelling.AssignmentView.as_view(), name="assignment"),
    path("submit/", labelling.SubmitView.as_view(), name="assignment-submit"),
    path("heartbeat/", labelling.HeartbeatView.as_view(), name="assignment-heartbeat"),
    path("return/", labelling.ReturnView.as_view(), name="assignment-return"),
    path("skip/", labelling.SkipView.as_view(), name="assignment-skip"),
]

project_urls: list[URLPattern | URLResolver] = [
    # /api/v1/projects/<slug>/…
    path("", projects.ProjectDetailView.as_view(), name="project"),
    path("assignments/next/", labelling.NextView.as_view(), name="assignment-next"),
    path("assignments/<uuid:public_id>/", include(assignment_urls)),
    *data.project_urls,
]

app_name = "annotate_api"
urlpatterns = [
    path("projects/", projects.ProjectListView.as_view(), name="project-list"),
    path("projects/<slug:slug>/", include(project_urls)),
]

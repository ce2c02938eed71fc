"""Addresses of the routing part of the REST API."""

from django.urls import include, path

from routing import api, api_acquisition, api_jobs, api_operation, api_reports

project_urls = [
    # /api/v1/projects/<slug>/…
    path("routing-studies", api.StudyListView.as_view(), name="study-list"),
    path("routing-studies/<int:number>", api.StudyView.as_view(), name="study"),
    path("routing-studies/<int:number>/cancel", api.StudyCancelView.as_view(), name="study-cancel"),
    path("routing-batches", api.BatchListView.as_view(), name="batch-list"),
    path("routing-batches/<uuid:public_id>", api.BatchView.as_view(), name="batch"),
    path("routing-batches/<uuid:public_id>/undo", api.BatchUndoView.as_view(), name="batch-undo"),
    path(
        "routing-batches/<uuid:public_id>/cancel",
        api_jobs.BatchCancelView.as_view(),
        name="batch-cancel",
    ),
    path("routing-decisions", api.DecisionListView.as_view(), name="decision-list"),
    path("acquisition-plan", api_acquisition.PlanView.as_view(), name="acquisition-plan"),
    path(
        "acquisition-replays",
        api_acquisition.ReplayListView.as_view(),
        name="acquisition-replay-list",
    ),
    path(
        "acquisition-replays/<int:number>",
        api_acquisition.ReplayView.as_view(),
        name="acquisition-replay",
    ),
    path(
        "acquisition-replays/<int:number>/cancel",
        api_acquisition.ReplayCancelView.as_view(),
        name="acquisition-replay-cancel",
    ),
    path("routing-pilot", api_operation.PilotView.as_view(), name="pilot"),
    path("routing-arms", api_operation.ArmListView.as_view(), name="arm-list"),
    path("routing-arms/<int:pk>", api_operation.ArmView.as_view(), name="arm"),
    path("routing-replays", api_operation.ReplayListView.as_view(), name="replay-list"),
    path("routing-replays/<int:number>", api_operation.ReplayView.as_view(), name="replay"),
    path("routing-audit", api_reports.AuditView.as_view(), name="audit"),
    path("routing-next-dollars", api_reports.NextDollarsView.as_view(), name="next-dollars"),
    path("tagging-runs", api_reports.TaggingListView.as_view(), name="tagging-list"),
    path("tagging-runs/<int:pk>", api_reports.TaggingView.as_view(), name="tagging"),
    path(
        "tagging-runs/<int:pk>/cancel",
        api_reports.TaggingCancelView.as_view(),
        name="tagging-cancel",
    ),
    path("acquisition-rounds", api.RoundListView.as_view(), name="round-list"),
    path(
        "acquisition-rounds/<int:number>/cancel",
        api_jobs.RoundCancelView.as_view(),
        name="round-cancel",
    ),
    path("acquisition-rounds/<int:number>", api.RoundView.as_view(), name="round"),
]

app_name = "routing_api"
urlpatterns = [path("projects/<slug:slug>/", include(project_urls))]

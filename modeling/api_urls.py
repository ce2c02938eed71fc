"""Addresses of the modeling part of the REST API."""

from django.urls import include, path

from modeling.api import judges, training

project_urls = [
    # /api/v1/projects/<slug>/…
    path("judges", judges.JudgesView.as_view(), name="judge-list"),
    path("judge-runs", judges.JudgeRunsView.as_view(), name="judge-run-list"),
    path("judge-runs/<uuid:public_id>", judges.JudgeRunView.as_view(), name="judge-run"),
    path(
        "judge-runs/<uuid:public_id>/cancel",
        judges.JudgeRunCancelView.as_view(),
        name="judge-run-cancel",
    ),
    path("training-runs", training.TrainingRunsView.as_view(), name="training-run-list"),
    path("training-runs/<uuid:public_id>", training.TrainingRunView.as_view(), name="training-run"),
    path(
        "training-runs/<uuid:public_id>/cancel",
        training.TrainingRunCancelView.as_view(),
        name="training-run-cancel",
    ),
    path("reward-models", training.RewardModelsView.as_view(), name="reward-model-list"),
    path("reward-models/<int:number>", training.RewardModelView.as_view(), name="reward-model"),
]

app_name = "modeling_api"
urlpatterns = [path("projects/<slug:slug>/", include(project_urls))]

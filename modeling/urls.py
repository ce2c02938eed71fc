"""Pages of modeling."""

from django.urls import include, path

from modeling.views import judges, reward_models

judge_urls = [
    # /projects/<slug>/judges/…
    path("", judges.judge_list, name="judges"),
    path("new/", judges.judge_new, name="judge-new"),
    path("measure/", judges.judges_measure, name="judges-measure"),
    path("measuring/", judges.judges_measuring, name="judges-measuring"),
    path("<int:pk>/", judges.judge_detail, name="judge"),
    path("<int:pk>/estimate/", judges.judge_estimate, name="judge-estimate"),
    path("<int:pk>/runs/", judges.judge_run_create, name="judge-run-create"),
    path("runs/<uuid:public_id>/", judges.judge_run, name="judge-run"),
    path("runs/<uuid:public_id>/cancel/", judges.judge_run_cancel, name="judge-run-cancel"),
]

model_urls = [
    # /projects/<slug>/models/…
    path("", reward_models.model_list, name="models"),
    path("<int:number>/", reward_models.model_detail, name="model"),
    path("runs/", reward_models.training_run_create, name="training-run-create"),
    path("runs/<uuid:public_id>/", reward_models.training_run, name="training-run"),
    path(
        "runs/<uuid:public_id>/cancel/",
        reward_models.training_run_cancel,
        name="training-run-cancel",
    ),
]

app_name = "modeling"
urlpatterns = [
    path("projects/<slug:slug>/judges/", include(judge_urls)),
    path("projects/<slug:slug>/models/", include(model_urls)),
]

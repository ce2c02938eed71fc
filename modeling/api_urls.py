"""Addresses of the modeling part of the REST API."""

from django.urls import include, path

from modeling.api import (
    audits,
    judge_asking,
    judge_batches,
    judge_bench,
    judges,
    outside_tests,
    promotions,
    scoring,
    training,
)

project_urls = [
    # /api/v1/projects/<slug>/…
    path("judges", judge_asking.JudgesAndNewView.as_view(), name="judge-list"),
    path("judges/<int:pk>", judge_asking.JudgeView.as_view(), name="judge"),
    path(
        "judges/<int:pk>/estimate", judge_asking.JudgeEstimateView.as_view(), name="judge-estimate"
    ),
    path("judge-prompts", judge_asking.JudgePromptsView.as_view(), name="judge-prompt-list"),
    path(
        "judge-prompts/preview",
        judge_asking.JudgePromptPreviewView.as_view(),
        name="judge-prompt-preview",
    ),
    path("judge-batches", judge_batches.JudgeBatchesView.as_view(), name="judge-batch-list"),
    path(
        "judge-batches/<uuid:public_id>", judge_batches.JudgeBatchView.as_view(), name="judge-batch"
    ),
    path(
        "judge-batches/<uuid:public_id>/cancel",
        judge_batches.JudgeBatchCancelView.as_view(),
        name="judge-batch-cancel",
    ),
    path(
        "judge-batches/<uuid:public_id>/requests",
        judge_batches.JudgeBatchRequestsView.as_view(),
        name="judge-batch-requests",
    ),
    path(
        "judge-batches/<uuid:public_id>/replies",
        judge_batches.JudgeBatchRepliesView.as_view(),
        name="judge-batch-replies",
    ),
    path("model-families", judge_asking.ModelFamiliesView.as_view(), name="model-family-list"),
    path("model-families/<int:pk>", judge_asking.ModelFamilyView.as_view(), name="model-family"),
    path(
        "judge-runs/<uuid:public_id>/resume",
        judge_asking.JudgeRunResumeView.as_view(),
        name="judge-run-resume",
    ),
    path(
        "judge-runs/<uuid:public_id>/outcomes",
        judge_asking.JudgeRunOutcomesView.as_view(),
        name="judge-run-outcomes",
    ),
    path("judges/<int:pk>/bench", judge_bench.JudgeBenchView.as_view(), name="judge-bench"),
    path("judge-gate", judge_bench.JudgeGateView.as_view(), name="judge-gate"),
    path("judge-panels", judge_bench.JudgePanelsView.as_view(), name="judge-panel-list"),
    path("judge-alarms", judge_bench.JudgeAlarmsView.as_view(), name="judge-alarm-list"),
    path(
        "judge-alarms/<int:pk>/close",
        judge_bench.JudgeAlarmCloseView.as_view(),
        name="judge-alarm-close",
    ),
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
    path("fine-tunings", training.FineTuningsView.as_view(), name="fine-tuning-list"),
    path(
        "training-runs/<uuid:public_id>/resume",
        training.TrainingRunResumeView.as_view(),
        name="training-run-resume",
    ),
    path(
        "training-runs/<uuid:public_id>/repeat",
        training.TrainingRunRepeatView.as_view(),
        name="training-run-repeat",
    ),
    path("reward-models", training.RewardModelsView.as_view(), name="reward-model-list"),
    path("reward-models/<int:number>", training.RewardModelView.as_view(), name="reward-model"),
    path(
        "reward-models/<int:number>/files/<str:name>",
        training.RewardModelFileView.as_view(),
        name="reward-model-file",
    ),
    path(
        "reward-models/<int:number>/gates",
        promotions.GatesView.as_view(),
        name="reward-model-gates",
    ),
    path(
        "reward-models/<int:number>/rewards",
        promotions.RewardsView.as_view(),
        name="reward-model-rewards",
    ),
    path(
        "reward-models/<int:number>/outside-tests",
        outside_tests.OutsideTestsView.as_view(),
        name="outside-test-list",
    ),
    path(
        "outside-tests/<uuid:public_id>",
        outside_tests.OutsideTestView.as_view(),
        name="outside-test",
    ),
    path("gate-runs/<uuid:public_id>", promotions.GateRunView.as_view(), name="gate-run"),
    path("promotions", promotions.PromotionsView.as_view(), name="promotion-list"),
    path("promotions/rollback", promotions.RollbackView.as_view(), name="promotion-rollback"),
    path("score", scoring.ScoreView.as_view(), name="score"),
    path("score-runs/<uuid:public_id>", scoring.ScoreRunView.as_view(), name="score-run"),
    path("label-audits", audits.AuditsView.as_view(), name="label-audit-list"),
    path("label-audits/<uuid:public_id>", audits.AuditView.as_view(), name="label-audit"),
    path(
        "label-audits/<uuid:public_id>/findings",
        audits.FindingsView.as_view(),
        name="label-audit-findings",
    ),
    path("label-findings/decide", audits.DecideView.as_view(), name="label-findings-decide"),
    path("data-filters", audits.FiltersView.as_view(), name="data-filter-list"),
    path("data-filters/<uuid:public_id>", audits.FilterView.as_view(), name="data-filter"),
]

app_name = "modeling_api"
urlpatterns = [path("projects/<slug:slug>/", include(project_urls))]

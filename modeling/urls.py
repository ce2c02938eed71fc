"""Pages of modeling."""

from django.urls import URLPattern, URLResolver, include, path

from modeling.views import (
    audits,
    judge_bench,
    judge_prompts,
    judge_runs,
    judge_settings,
    judges,
    outside_tests,
    promotions,
    reward_models,
)

judge_urls = [
    # /projects/<slug>/judges/…
    path("", judges.judge_list, name="judges"),
    path("new/", judge_settings.judge_new, name="judge-new"),
    path("bench/", judge_bench.judge_bench, name="judge-bench"),
    path("gate/", judge_bench.judge_gate, name="judge-gate"),
    path("panels/new/", judge_bench.judge_panel_new, name="judge-panel-new"),
    path("alarms/<int:pk>/close/", judge_bench.judge_alarm_close, name="judge-alarm-close"),
    path("measure/", judges.judges_measure, name="judges-measure"),
    path("measuring/", judges.judges_measuring, name="judges-measuring"),
    path("<int:pk>/", judges.judge_detail, name="judge"),
    path("<int:pk>/settings/", judge_settings.judge_edit, name="judge-edit"),
    path("<int:pk>/estimate/", judge_runs.judge_estimate, name="judge-estimate"),
    path("<int:pk>/runs/", judge_runs.judge_run_create, name="judge-run-create"),
    path("<int:pk>/batches/", judge_runs.judge_batch_create, name="judge-batch-create"),
    path("runs/<uuid:public_id>/", judge_runs.judge_run, name="judge-run"),
    path("runs/<uuid:public_id>/cancel/", judge_runs.judge_run_cancel, name="judge-run-cancel"),
    path("runs/<uuid:public_id>/resume/", judge_runs.judge_run_again, name="judge-run-resume"),
    path("batches/<uuid:public_id>/", judge_runs.judge_batch, name="judge-batch"),
    path("batches/<uuid:public_id>/file/", judge_runs.judge_batch_file, name="judge-batch-file"),
    path(
        "batches/<uuid:public_id>/replies/",
        judge_runs.judge_batch_upload,
        name="judge-batch-replies",
    ),
    path(
        "batches/<uuid:public_id>/cancel/", judge_runs.judge_batch_stop, name="judge-batch-cancel"
    ),
    path("prompts/", judge_prompts.prompt_list, name="judge-prompts"),
    path("prompts/new/", judge_prompts.prompt_edit, name="judge-prompt-new"),
    path("prompts/preview/", judge_prompts.prompt_show, name="judge-prompt-preview"),
    path("families/", judge_prompts.family_list, name="model-families"),
    path("families/<int:pk>/remove/", judge_prompts.family_remove, name="model-family-remove"),
]

run_urls = [
    # /projects/<slug>/models/runs/<id>/…
    path("", reward_models.training_run, name="training-run"),
    path("cancel/", reward_models.training_run_cancel, name="training-run-cancel"),
    path("resume/", reward_models.training_run_resume, name="training-run-resume"),
    path("repeat/", reward_models.training_run_repeat, name="training-run-repeat"),
]

audit_urls = [
    # /projects/<slug>/models/audit/…
    path("", audits.audit_page, name="audit"),
    path("runs/", audits.audit_run_create, name="audit-run-create"),
    path("runs/<uuid:public_id>/", audits.audit_run, name="audit-run"),
    path("runs/<uuid:public_id>/cancel/", audits.audit_run_cancel, name="audit-run-cancel"),
    path("decide/", audits.findings_decide, name="findings-decide"),
    path("filters/", audits.filter_run_create, name="filter-run-create"),
    path("filters/<uuid:public_id>/", audits.filter_run, name="filter-run"),
    path("filters/<uuid:public_id>/switch/", audits.filter_run_switch, name="filter-run-switch"),
]

model_urls: list[URLPattern | URLResolver] = [
    # /projects/<slug>/models/…
    path("", reward_models.model_list, name="models"),
    path("<int:number>/", reward_models.model_detail, name="model"),
    path("<int:number>/gates/", promotions.gate_run_create, name="gate-run-create"),
    path("<int:number>/score/", promotions.project_score, name="project-score"),
    path("<int:number>/elsewhere/", outside_tests.outside_test_create, name="outside-test-create"),
    path("elsewhere/<uuid:public_id>/", outside_tests.outside_test, name="outside-test"),
    path("rollback/", promotions.rollback, name="rollback"),
    path("gates/<uuid:public_id>/", promotions.gate_run, name="gate-run"),
    path("gates/<uuid:public_id>/cancel/", promotions.gate_run_cancel, name="gate-run-cancel"),
    path("runs/", reward_models.training_run_create, name="training-run-create"),
    path("fine-tunings/", reward_models.fine_tuning_create, name="fine-tuning-create"),
    path("runs/<uuid:public_id>/", include(run_urls)),
    path("audit/", include(audit_urls)),
]

app_name = "modeling"
urlpatterns = [
    path("projects/<slug:slug>/judges/", include(judge_urls)),
    path("projects/<slug:slug>/models/", include(model_urls)),
]

"""Pages of annotate."""

from django.urls import URLPattern, URLResolver, include, path

from annotate.views import (
    changes,
    comparisons,
    data,
    golds,
    labelling,
    people,
    projects,
    quality,
    reviews,
    settings,
    transfer,
    webhooks,
)

quality_urls: list[URLPattern | URLResolver] = [
    # /projects/<slug>/quality/…
    path("", quality.quality_page, name="quality"),
    path("check/", quality.quality_check, name="quality-check"),
    path("policy/", quality.policy, name="quality-policy"),
    path("test/", quality.test_page, name="quality-test"),
    path("flags/", quality.flag_list, name="quality-flags"),
    path("flags/<int:pk>/close/", quality.flag_close, name="flag-close"),
    path("alarms/<int:pk>/close/", quality.alarm_close, name="alarm-close"),
    path("golds/", golds.gold_list, name="quality-golds"),
    path("golds/<int:pk>/", golds.gold_edit, name="gold-edit"),
    path("golds/new/<int:pk>/", golds.gold_new, name="gold-new"),
    path("golds/from-data/", golds.gold_import, name="gold-import"),
]
quality_urls += [
    path("people/<int:pk>/", people.person, name="person"),
    path("people/<int:pk>/skills/", people.skills_save, name="person-skills"),
    path("people/<int:pk>/give/", people.comparisons_give, name="person-give"),
    path("people/<int:pk>/take-back/", people.comparisons_take_back, name="person-take-back"),
]
quality_urls += [
    path(
        f"people/<int:pk>/{action}/",
        quality.annotator_change,
        {"action": action},
        name=f"annotator-{action}",
    )
    for action in ("pause", "resume", "qualify")
]

webhook_urls: list[URLPattern | URLResolver] = [
    # /projects/<slug>/webhooks/…
    path("", webhooks.webhook_list, name="webhooks"),
    path("new/", webhooks.webhook_new, name="webhook-new"),
    path("<uuid:public_id>/", webhooks.webhook_page, name="webhook"),
    path("<uuid:public_id>/save/", webhooks.webhook_save, name="webhook-save"),
    path("deliveries/<uuid:public_id>/", webhooks.delivery_page, name="delivery"),
    path("deliveries/<uuid:public_id>/again/", webhooks.delivery_again, name="delivery-again"),
]
webhook_urls += [
    path(
        f"<uuid:public_id>/{action}/",
        webhooks.webhook_act,
        {"action": action},
        name=f"webhook-{action}",
    )
    for action in ("start", "stop", "test", "rotate", "delete")
]

project_urls: list[URLPattern | URLResolver] = [
    # /projects/<slug>/…
    path("", projects.project_home, name="project-home"),
    path("label/", labelling.label, name="label"),
    path("label/history/", labelling.history, name="history"),
    path("comparisons/", comparisons.comparison_list, name="comparison-list"),
    path("comparisons/<int:pk>/", comparisons.comparison_detail, name="comparison-detail"),
    path("comparisons/changes/", changes.change_list, name="changes"),
    path("comparisons/changes/new/", changes.change_create, name="change-create"),
    path("comparisons/changes/<uuid:public_id>/undo/", changes.change_undo, name="change-undo"),
    path("comparisons/views/", changes.view_save, name="view-save"),
    path("comparisons/views/<int:pk>/delete/", changes.view_delete, name="view-delete"),
    path("webhooks/", include(webhook_urls)),
    path("quality/", include(quality_urls)),
    path("reviews/", reviews.review_list, name="reviews"),
    path("reviews/<int:pk>/", reviews.review, name="review"),
    path("test/", reviews.qualification, name="qualification"),
    path("test/begin/", reviews.qualification_begin, name="qualification-begin"),
    path("data/", data.data_page, name="data"),
    path("data/imports/", data.import_create, name="import-create"),
    path("data/imports/<uuid:public_id>/", data.import_job, name="import-job"),
    path("data/imports/<uuid:public_id>/confirm/", data.import_confirm, name="import-confirm"),
    path("data/imports/<uuid:public_id>/cancel/", data.import_cancel, name="import-cancel"),
    path("data/imports/hub/", transfer.hub_import_create, name="hub-import-create"),
    path("data/imports/<uuid:public_id>/mapping/", transfer.import_map, name="import-map"),
    path("data/imports/<uuid:public_id>/errors/", transfer.import_errors, name="import-errors"),
    path("data/versions/", data.version_create, name="version-create"),
    path("data/versions/<int:number>/", transfer.version_page, name="version"),
    path("data/versions/<int:number>/manifest/", transfer.manifest, name="version-manifest"),
    path(
        "data/versions/<int:number>/since/<int:before>/",
        transfer.version_diff_page,
        name="version-diff",
    ),
    path("data/freezes/<uuid:public_id>/", transfer.freeze_job, name="freeze-job"),
    path("data/freezes/<uuid:public_id>/cancel/", transfer.freeze_cancel, name="freeze-cancel"),
    path("data/exports/", transfer.export_create, name="export-create"),
    path("data/exports/<uuid:public_id>/", transfer.export_job, name="export-job"),
    path("data/exports/<uuid:public_id>/file/", transfer.export_file, name="export-file"),
    path("data/exports/<uuid:public_id>/cancel/", transfer.export_cancel, name="export-cancel"),
    path("data/exports/<uuid:public_id>/delete/", transfer.export_delete, name="export-delete"),
    path("settings/", settings.settings_page, name="settings"),
    path("settings/protocol/", settings.protocol_save, name="protocol-save"),
    path("settings/protocol/preview/", settings.protocol_preview, name="protocol-preview"),
    path("settings/guideline/", settings.guideline_save, name="guideline-save"),
    path("settings/money/", settings.money_save, name="money-save"),
    path("settings/members/", settings.member_save, name="member-save"),
    path("settings/members/<int:pk>/remove/", settings.member_end, name="member-end"),
    path("settings/tokens/", settings.token_create, name="token-create"),
    path("settings/tokens/<int:pk>/rotate/", settings.token_rotate, name="token-rotate"),
    path("settings/tokens/<int:pk>/revoke/", settings.token_revoke, name="token-revoke"),
]

app_name = "annotate"
urlpatterns = [
    path("", projects.project_list, name="project-list"),
    path("projects/new/", projects.project_new, name="project-new"),
    path("projects/<slug:slug>/", include(project_urls)),
]

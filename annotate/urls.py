"""Pages of annotate."""

from django.urls import include, path

from annotate.views import comparisons, data, labelling, projects, settings

project_urls = [
    # /projects/<slug>/…
    path("", projects.project_home, name="project-home"),
    path("label/", labelling.label, name="label"),
    path("label/history/", labelling.history, name="history"),
    path("comparisons/", comparisons.comparison_list, name="comparison-list"),
    path("comparisons/<int:pk>/", comparisons.comparison_detail, name="comparison-detail"),
    path("data/", data.data_page, name="data"),
    path("data/imports/", data.import_create, name="import-create"),
    path("data/imports/<uuid:public_id>/", data.import_job, name="import-job"),
    path("data/imports/<uuid:public_id>/confirm/", data.import_confirm, name="import-confirm"),
    path("data/imports/<uuid:public_id>/cancel/", data.import_cancel, name="import-cancel"),
    path("data/versions/", data.version_create, name="version-create"),
    path("settings/", settings.settings_page, name="settings"),
    path("settings/protocol/", settings.protocol_save, name="protocol-save"),
    path("settings/guideline/", settings.guideline_save, name="guideline-save"),
    path("settings/money/", settings.money_save, name="money-save"),
    path("settings/members/", settings.member_save, name="member-save"),
    path("settings/tokens/", settings.token_create, name="token-create"),
    path("settings/tokens/<int:pk>/revoke/", settings.token_revoke, name="token-revoke"),
]

app_name = "annotate"
urlpatterns = [
    path("", projects.project_list, name="project-list"),
    path("projects/new/", projects.project_new, name="project-new"),
    path("projects/<slug:slug>/", include(project_urls)),
]

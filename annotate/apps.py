from django.apps import AppConfig


class AnnotateConfig(AppConfig):
    """Register the app under its plain label."""

    name = "annotate"

    def ready(self) -> None:
        from annotate import languages
        from annotate.stages import register_stages

        register_stages()
        languages.connect()

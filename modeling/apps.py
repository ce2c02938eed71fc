from django.apps import AppConfig


class ModelingConfig(AppConfig):
    """Register the app under its plain label and its stages with the loop."""

    name = "modeling"

    def ready(self) -> None:
        from modeling.stages import register_stages

        register_stages()

"""Fields of the API's bodies that say more than the framework's own."""

from typing import Any, NoReturn

from django.utils.translation import gettext_lazy
from rest_framework import serializers


class ChoiceField(serializers.ChoiceField):
    """One of some values; a refusal names them, so that nobody has to look them up."""

    default_error_messages = {
        "invalid_choice": gettext_lazy("“{input}” is none of the choices: {choices}.")
    }

    def fail(self, key: str, **values: Any) -> NoReturn:
        """Refuse a value."""
        choices = ", ".join(str(choice) for choice in self.choices if choice != "")
        super().fail(key, choices=choices, **values)

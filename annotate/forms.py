"""What people type into pages, checked before a service sees it."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from annotate.models import ApiToken, Membership, Project
from annotate.services.tokens import MAX_RATE


class OwnIds(forms.BaseForm):
    """A form beside others on one page: the ids of its fields begin with its own name.

    With the same ids as a neighbour's, its labels would lead to the neighbour's fields.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["auto_id"] = f"{type(self).__name__.lower()}_%s"
        super().__init__(*args, **kwargs)


class ProjectForm(forms.ModelForm[Project]):
    """A new project."""

    class Meta:
        model = Project
        fields = ["name", "slug", "description"]
        help_texts = {"slug": "The name in addresses: small letters, digits and hyphens."}
        widgets = {"description": forms.Textarea(attrs={"rows": 3})}


class GuidelineForm(forms.Form):
    """The instructions, in Markdown."""

    body = forms.CharField(
        label="Guideline (Markdown)", widget=forms.Textarea(attrs={"rows": 14}), max_length=50_000
    )


class MoneyForm(forms.ModelForm[Project]):
    """Prices and the hard limit."""

    class Meta:
        model = Project
        fields = ["human_price_usd", "budget_usd"]
        labels = {"human_price_usd": "One human label (USD)", "budget_usd": "Budget (USD)"}


class MemberForm(forms.Form):
    """Somebody who joins the project."""

    username = forms.CharField(max_length=150, label="User name")
    role = forms.ChoiceField(choices=Membership.Role.choices, initial=Membership.Role.ANNOTATOR)


class TokenForm(forms.Form):
    """A new API token."""

    name = forms.CharField(max_length=80, label="What it is for")
    scope = forms.ChoiceField(choices=ApiToken.Scope.choices, initial=ApiToken.Scope.READ)
    days = forms.IntegerField(
        label="Valid for (days)",
        initial=90,
        min_value=1,
        max_value=3650,
        required=False,
        help_text="Empty: until it is revoked.",
    )
    rate_per_minute = forms.IntegerField(
        label="Requests a minute",
        min_value=1,
        max_value=MAX_RATE,
        required=False,
        help_text="Empty: the installation's limit.",
    )
    this_project_only = forms.BooleanField(
        required=False, initial=True, label="Opens this project only"
    )

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        scope = values.get("scope", ApiToken.Scope.READ)
        if scope != ApiToken.Scope.READ and not values.get("days"):
            raise ValidationError({"days": "A token that may write needs an end: give the days."})
        return values

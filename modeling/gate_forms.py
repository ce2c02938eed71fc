"""What owners type about gates and panels, checked before a service sees it."""

from typing import Any

from django import forms

from annotate.models import Project
from modeling.models import Judge, JudgeGate, JudgePanel
from modeling.services.judge_gates import FIELDS
from modeling.services.judge_panels import MAX_MEMBERS, MIN_MEMBERS


class GateForm(forms.ModelForm[JudgeGate]):
    """What a judge must show; an empty bound is not asked for."""

    class Meta:
        model = JudgeGate
        fields = FIELDS
        labels = {
            "min_n": "Verdicts beside people, at least",
            "min_accuracy": "Accuracy, at least",
            "min_kappa": "Kappa, above",
            "max_first_position_bias": "First-position bias, at most",
            "max_conflict": "Orders disagree, at most",
            "max_ece": "Calibration error, at most",
            "max_parse_failures": "Unparsable replies, at most",
            "blocks_on_alarm": "An open alarm blocks routed work",
        }


class PanelForm(forms.Form):
    """Which judges make a panel, and how they are weighed."""

    name = forms.CharField(max_length=120, initial="panel", help_text="How this project calls it.")
    members = forms.ModelMultipleChoiceField(
        queryset=Judge.objects.none(), widget=forms.CheckboxSelectMultiple
    )
    method = forms.ChoiceField(
        label="Weights",
        choices=JudgePanel.Method.choices,
        help_text="Chosen on held-out prompts: the best of stacking, log odds and the best judge "
        "alone, by log loss, and never one that is clearly less accurate than the best judge.",
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["members"]
        assert isinstance(field, forms.ModelMultipleChoiceField)
        judges = Judge.objects.filter(annotator__project=project, annotator__is_active=True)
        singles = judges.exclude(provider=Judge.Provider.PANEL)
        field.queryset = singles.select_related("annotator__project").order_by("annotator__name")

    def clean_members(self) -> list[Judge]:
        """Ask for as many members as a panel needs."""
        members = list(self.cleaned_data["members"])
        if not MIN_MEMBERS <= len(members) <= MAX_MEMBERS:
            raise forms.ValidationError(f"Choose {MIN_MEMBERS} to {MAX_MEMBERS} judges.")
        return members

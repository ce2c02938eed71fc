"""What owners type about reward models and label audits, checked before a service sees it."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.db.models import QuerySet

from annotate.errors import ApplicationError
from annotate.models import Project
from modeling import likelihood_names
from modeling.encoder_names import POOLINGS, TFIDF, encoder_choices, model_folders
from modeling.finetuning.options import LIMITS, FineTuneOptions
from modeling.services.training import LABELS

MAX_SEED = 2**31 - 1
SEED_HELP = "The same seed on the same labels gives the same numbers."


class _ChosenLabels(forms.Form):
    labels = forms.ChoiceField(label="Labels to learn from", choices=list(LABELS.items()))
    seed = forms.IntegerField(
        label="Seed", initial=0, min_value=0, max_value=MAX_SEED, help_text=SEED_HELP
    )


class TrainForm(_ChosenLabels):
    """How to train the next heads."""

    encoder = forms.ChoiceField(label="Encoder", initial=TFIDF)
    likelihood = forms.ChoiceField(
        label="How labels are read",
        choices=list(likelihood_names.LABELS.items()),
        initial=likelihood_names.DEFAULT,
    )
    pooling = forms.ChoiceField(
        label="Pooling",
        choices=[("", "As the model is made"), *POOLINGS.items()],
        required=False,
        help_text="Only for transformers models.",
    )
    layer = forms.IntegerField(
        label="Layer", required=False, help_text="Only for transformers models; empty is the last."
    )
    field_order = ["encoder", "labels", "likelihood", "seed", "pooling", "layer"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _set_choices(self, "encoder", encoder_choices())


class FineTuneForm(_ChosenLabels):
    """How to fine-tune a model of the installation with LoRA."""

    base = forms.ChoiceField(label="Base model")
    epochs = forms.FloatField(label="Epochs", initial=1.0)
    learning_rate = forms.FloatField(label="Learning rate", initial=1e-4)
    rank = forms.IntegerField(label="LoRA rank", initial=16)
    max_tokens = forms.IntegerField(
        label="Longest conversation (tokens)",
        initial=1_024,
        help_text="Longer ones lose their beginning.",
    )
    batch_size = forms.IntegerField(label="Batch size", initial=8, help_text="For each GPU.")
    accumulation = forms.IntegerField(
        label="Accumulation", initial=1, help_text="Multiplies the batch without more memory."
    )
    checkpoint_steps = forms.IntegerField(label="Steps between checkpoints", initial=100)
    center_rewards = forms.FloatField(label="Centring of rewards", initial=0.01)
    by_source = forms.BooleanField(
        required=False,
        label="Compare sources of labels",
        help_text="Trains once more on each source: people, judges, both, after an audit.",
    )
    field_order = ["base", "labels", "epochs", "learning_rate", "seed"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _set_choices(self, "base", [(name, name) for name in model_folders()])
        for name, (low, high) in LIMITS.items():
            self.fields[name].widget.attrs |= {"min": low, "max": high, "step": "any"}

    def clean(self) -> dict[str, Any]:
        """Check the options together, as the service would."""
        cleaned = super().clean() or {}
        needed = ("base", *LIMITS, "by_source")
        values = {name: cleaned[name] for name in needed if name in cleaned}
        if len(values) == len(needed):
            try:
                cleaned["options"] = FineTuneOptions(**values)
            except ApplicationError as error:
                self.add_error(error.field if error.field in self.fields else None, error.message)
        return cleaned


class AuditForm(_ChosenLabels):
    """How to audit labels."""

    encoder = forms.ChoiceField(label="Encoder", initial=TFIDF)
    field_order = ["encoder", "labels", "seed"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _set_choices(self, "encoder", encoder_choices())


class OutsideTestForm(forms.Form):
    """Another project to test a model on."""

    project = forms.ModelChoiceField(queryset=Project.objects.none(), to_field_name="slug")

    def __init__(self, *args: Any, projects: QuerySet[Project], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["project"]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = projects


class FilterForm(forms.Form):
    """Which comparisons training leaves out."""

    near_identical = forms.FloatField(
        label="Near-identical responses, from similarity",
        required=False,
        help_text="0.5 to 1; 0.9 is a good start. Empty: keep them.",
    )
    duplicates = forms.BooleanField(label="Duplicates of earlier comparisons", required=False)
    gap_low = forms.FloatField(
        label="Reward gap at least", required=False, help_text="In logits of the audit."
    )
    gap_high = forms.FloatField(label="Reward gap at most", required=False)
    drop_wrong = forms.BooleanField(label="Suspected wrong labels", required=False)

    def rules(self) -> dict[str, Any]:
        """The filters that were chosen."""
        return {
            name: value
            for name, value in self.cleaned_data.items()
            if value is not None and value is not False
        }


def _set_choices(form: forms.Form, name: str, choices: list[tuple[str, str]]) -> None:
    field = form.fields[name]
    assert isinstance(field, forms.ChoiceField)
    field.choices = choices


def rules_in_words(rules: Mapping[str, Any]) -> str:
    """The filters of a run by the labels of their form, with the values that were typed."""
    words = []
    for name, value in rules.items():
        label = FilterForm.base_fields[name].label
        words.append(str(label) if value is True else f"{label} {value}")
    return "; ".join(words)

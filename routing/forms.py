"""What owners type into the pages of routing and acquisition."""

from typing import Any

from django import forms

from annotate.models import Annotator, Project
from modeling.encoder_names import TFIDF, encoder_choices
from routing.choices import BAL_PM_STRATEGY, POLICIES, STRATEGIES
from routing.selectors import judges_of
from routing.services.batches import MAX_HUMANS
from routing.services.rounds import MAX_BATCH
from routing.services.studies import MAX_MIXES, MIN_MIXES


class StudyForm(forms.Form):
    """A new study."""

    judge = forms.ModelChoiceField(queryset=Annotator.objects.none(), empty_label=None)
    encoder = forms.ChoiceField(label="Features", initial=TFIDF)
    n_mixes = forms.IntegerField(
        label="Mixes",
        initial=240,
        min_value=MIN_MIXES,
        max_value=MAX_MIXES,
        help_text="Ways of sharing the labels between people and judge that are tried.",
    )
    seed = forms.IntegerField(initial=0, min_value=0, max_value=2**31 - 1)

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        judge, encoder = self.fields["judge"], self.fields["encoder"]
        assert isinstance(judge, forms.ModelChoiceField)
        assert isinstance(encoder, forms.ChoiceField)
        judge.queryset = judges_of(project=project)
        encoder.choices = encoder_choices()


class BatchForm(forms.Form):
    """A policy under a budget."""

    budget_usd = forms.DecimalField(
        label="Budget (USD)",
        min_value=0,
        max_digits=12,
        decimal_places=2,
        help_text="Hard limit for the labels of this batch.",
    )
    policy = forms.ChoiceField(choices=list(POLICIES.items()))
    n_humans = forms.IntegerField(
        label="People per comparison", initial=1, min_value=1, max_value=MAX_HUMANS
    )
    audit_percent = forms.IntegerField(
        label="Audit (%)",
        initial=10,
        min_value=0,
        max_value=100,
        help_text="Part of all comparisons that people get at random, bought first: it keeps the "
        "judge's figures honest.",
    )
    seed = forms.IntegerField(initial=0, min_value=0, max_value=2**31 - 1)


class WordsForm(forms.Form):
    """The part of a batch that the words beside the frontier depend on."""

    budget_usd = forms.DecimalField(min_value=0, max_digits=12, decimal_places=2)
    n_humans = forms.IntegerField(min_value=1, max_value=MAX_HUMANS, required=False)


class RoundForm(forms.Form):
    """A new acquisition round."""

    strategy = forms.ChoiceField(choices=list(STRATEGIES.items()), initial=BAL_PM_STRATEGY)
    batch_size = forms.IntegerField(
        label="Comparisons", initial=50, min_value=1, max_value=MAX_BATCH
    )
    random_percent = forms.IntegerField(
        label="At random (%)",
        initial=10,
        min_value=0,
        max_value=100,
        help_text="Random picks keep evaluation honest; annotators cannot tell which they are.",
    )
    seed = forms.IntegerField(initial=0, min_value=0, max_value=2**31 - 1)

"""What owners type into the pages of routing and acquisition."""

from typing import Any, Self

from django import forms

from annotate.forms import OwnIds
from annotate.models import Annotator, Project
from modeling.encoder_names import TFIDF, encoder_choices
from modeling.models import Judge
from routing.choices import (
    DEFAULT_STRATEGY,
    LAPLACE_POSTERIOR,
    PAIR_CHOICES,
    POLICIES,
    POSTERIORS,
    RANDOM_STRATEGY,
    ROUND_POSTERIORS,
    STRATEGIES,
)
from routing.models import AcquisitionPlan, RoutingArm
from routing.replay.settings import DEFAULT_BUDGETS
from routing.selectors import judges_of
from routing.services.batches import MAX_HUMANS
from routing.services.pilots import MAX_PILOT
from routing.services.replays import MAX_SEEDS
from routing.services.rounds import MAX_BATCH
from routing.services.studies import MAX_MIXES, MIN_MIXES


class StudyForm(OwnIds, forms.Form):
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
    is_weighted = forms.BooleanField(
        label="Weigh labels by one over their chance",
        required=False,
        help_text="When most double labels were routed: what the router sought out then counts for "
        "no more than it is in the pool.",
    )

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
    max_error_percent = forms.FloatField(
        label="Accepted error (%)",
        initial=10,
        min_value=0.1,
        max_value=99,
        required=False,
        help_text="For the conformal policy: judge labels that stand although a person would "
        "differ, in the long run.",
    )
    by_time = forms.BooleanField(
        label="Price people's labels by reading time",
        required=False,
        help_text="An average label then costs the project's price, a longer one more.",
    )

    stop_early = forms.BooleanField(
        label="Stop where the policy expects no further gain",
        required=False,
        help_text="Else the rest of the budget goes where a person would most likely differ from "
        "the judge. A dry run says where the policy would stop.",
    )

    def values(self) -> dict[str, Any]:
        """The arguments of the service."""
        given = dict(self.cleaned_data)
        error = given.pop("max_error_percent")
        options = {name: given.pop(name) for name in ("by_time", "stop_early")}
        options |= {} if error is None else {"max_error": error / 100}
        share = given.pop("audit_percent") / 100
        return given | {"audit_share": share, "options": options}


class PilotForm(OwnIds, forms.Form):
    """A pilot to draw."""

    n = forms.IntegerField(
        label="Comparisons", min_value=1, max_value=MAX_PILOT, help_text="Drawn by lot."
    )
    is_stratified = forms.BooleanField(
        label="Rare kinds more often",
        required=False,
        help_text="As many of every kind of length and likeness; the chance of each is stored.",
    )
    seed = forms.IntegerField(initial=0, min_value=0, max_value=2**31 - 1)


class ArmForm(OwnIds, forms.ModelForm[RoutingArm]):
    """A group of people at its own price."""

    class Meta:
        model = RoutingArm
        fields = ("name", "n_humans", "skill", "price_usd", "reliability")
        labels = {"n_humans": "People", "price_usd": "Price (USD)", "reliability": "Right"}


class TaggingForm(OwnIds, forms.Form):
    """Describe prompts by an LLM."""

    judge = forms.ModelChoiceField(queryset=Judge.objects.none(), empty_label=None)
    cap_usd = forms.DecimalField(
        label="Cap (USD)", min_value=0, max_digits=12, decimal_places=2, required=False
    )

    def __init__(self, *args: Any, project: Project, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        judge = self.fields["judge"]
        assert isinstance(judge, forms.ModelChoiceField)
        judge.queryset = Judge.objects.filter(
            annotator__project=project, provider=Judge.Provider.OPENAI
        )


class ReplayForm(forms.Form):
    """A recorded file and how to replay it."""

    file = forms.FileField(
        help_text="Comparisons that people and judges have both labelled, in any import format."
    )
    judge = forms.CharField(
        required=False,
        max_length=120,
        help_text="A judge of the file, or panel; left out: the one that agrees most with people.",
    )
    policies = forms.CharField(
        required=False, help_text="Names separated by commas; left out: all of them."
    )
    budgets = forms.CharField(
        required=False,
        initial=",".join(DEFAULT_BUDGETS),
        help_text="Shares such as 0.2 or 20%, or dollars such as $50.",
    )
    n_seeds = forms.IntegerField(label="Seeds", initial=10, min_value=1, max_value=MAX_SEEDS)
    encoder = forms.ChoiceField(label="Features", initial=TFIDF)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        encoder = self.fields["encoder"]
        assert isinstance(encoder, forms.ChoiceField)
        encoder.choices = encoder_choices()


class WordsForm(forms.Form):
    """The part of a batch that the words beside the frontier depend on."""

    budget_usd = forms.DecimalField(min_value=0, max_digits=12, decimal_places=2)
    n_humans = forms.IntegerField(min_value=1, max_value=MAX_HUMANS, required=False)


class RoundForm(forms.Form):
    """A new acquisition round."""

    strategy = forms.ChoiceField(choices=list(STRATEGIES.items()), initial=DEFAULT_STRATEGY)
    posterior = forms.ChoiceField(
        label="Uncertainty from",
        choices=list(ROUND_POSTERIORS.items()),
        initial=LAPLACE_POSTERIOR,
        required=False,
    )
    pair_rule = forms.ChoiceField(
        label="Of more than two responses",
        choices=list(PAIR_CHOICES.items()),
        required=False,
        help_text="A pair becomes a comparison of its own; the next one is asked when it is "
        "labelled, until they can be put in order.",
    )
    batch_size = forms.IntegerField(
        label="Comparisons", initial=50, min_value=1, max_value=MAX_BATCH
    )
    random_percent = forms.IntegerField(
        label="At random (%)",
        initial=10,
        min_value=0,
        max_value=100,
        help_text="Random picks keep evaluation honest; annotators cannot tell which they are. "
        "The first three rounds draw at least 25 %.",
    )
    seed = forms.IntegerField(initial=0, min_value=0, max_value=2**31 - 1)

    @classmethod
    def of(cls, values: dict[str, Any]) -> Self:
        """The form as the next round would be."""
        percent = round(100 * values["random_share"])
        return cls(initial=values | {"random_percent": percent})

    def values(self) -> dict[str, Any]:
        """What the service takes."""
        values = dict(self.cleaned_data)
        values["random_share"] = values.pop("random_percent") / 100
        values["posterior"] = values["posterior"] or LAPLACE_POSTERIOR
        return values


class PlanForm(forms.Form):
    """How the rounds of a project follow one another."""

    strategy = forms.ChoiceField(choices=list(STRATEGIES.items()))
    posterior = forms.ChoiceField(label="Uncertainty from", choices=list(ROUND_POSTERIORS.items()))
    pair_rule = forms.ChoiceField(
        label="Of more than two responses", choices=list(PAIR_CHOICES.items()), required=False
    )
    initial_size = forms.IntegerField(
        label="Initial set",
        min_value=1,
        max_value=MAX_BATCH,
        help_text="Comparisons of the first round, all drawn at random.",
    )
    batch_size = forms.IntegerField(label="Batch", min_value=1, max_value=MAX_BATCH)
    random_percent = forms.IntegerField(label="At random (%)", min_value=0, max_value=100)
    encoder = forms.ChoiceField(label="Features")
    labels = forms.ChoiceField(
        label="Train on",
        choices=[("both", "People, and judges where nobody labelled"), ("human", "People only")],
    )
    is_automatic = forms.BooleanField(
        label="Start the next round by itself",
        required=False,
        help_text="Trains a reward model on what came in, then picks the next batch.",
    )
    start_percent = forms.IntegerField(
        label="When this much of a batch is labelled (%)", min_value=1, max_value=100
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        encoder = self.fields["encoder"]
        assert isinstance(encoder, forms.ChoiceField)
        encoder.choices = encoder_choices()

    @classmethod
    def of(cls, plan: AcquisitionPlan) -> "PlanForm":
        """A form that shows a plan."""
        names = ("strategy", "posterior", "pair_rule", "initial_size", "batch_size", "encoder",
                 "labels", "is_automatic")  # fmt: skip
        initial = {name: getattr(plan, name) for name in names}
        initial["random_percent"] = round(100 * plan.random_share)
        initial["start_percent"] = round(100 * plan.start_at_share)
        return cls(initial=initial, prefix="plan")

    def values(self) -> dict[str, Any]:
        """What the service takes."""
        values = dict(self.cleaned_data)
        values["random_share"] = values.pop("random_percent") / 100
        values["start_at_share"] = values.pop("start_percent") / 100
        return values


class AcquisitionReplayForm(forms.Form):
    """Query strategies to compare on the labels there are."""

    strategies = forms.MultipleChoiceField(
        choices=[(key, text) for key, text in STRATEGIES.items() if key != RANDOM_STRATEGY],
        initial=[DEFAULT_STRATEGY, "epig_linear-v1", "bald-v1", "bal_pm-v1"],
        widget=forms.CheckboxSelectMultiple,
    )
    posterior = forms.ChoiceField(label="Uncertainty from", choices=list(POSTERIORS.items()))
    encoder = forms.ChoiceField(label="Features")
    initial_size = forms.IntegerField(label="Initial labels", initial=20, min_value=1)
    batch_size = forms.IntegerField(label="Batch", initial=20, min_value=1, max_value=1000)
    rounds = forms.IntegerField(initial=8, min_value=1, max_value=100)
    seeds = forms.IntegerField(
        label="Paired seeds", initial=10, min_value=2, max_value=100,
        help_text="Every strategy starts from the same labels and is tested on the same prompts.",
    )  # fmt: skip
    test_percent = forms.IntegerField(
        label="Held-out prompts (%)", initial=35, min_value=5, max_value=80
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        encoder = self.fields["encoder"]
        assert isinstance(encoder, forms.ChoiceField)
        encoder.choices = encoder_choices()

    def values(self) -> dict[str, Any]:
        """What the service takes."""
        values = dict(self.cleaned_data)
        values["initial"] = values.pop("initial_size")
        values["test_share"] = values.pop("test_percent") / 100
        return values

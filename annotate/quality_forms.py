"""What owners and reviewers type into the quality pages."""

from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from annotate.models import Gold, Preference, Protocol, QualityPolicy
from annotate.selectors.labelling import better_by

Verdict = Preference.Verdict


class QualityPolicyForm(forms.ModelForm[QualityPolicy]):
    """How the project watches over its labels while they are given."""

    class Meta:
        model = QualityPolicy
        fields = [
            "gold_share",
            "gold_feedback",
            "pause_below",
            "pause_window",
            "repeat_share",
            "qualification_required",
            "qualification_pass_mark",
            "qualification_attempts",
            "review_gap",
        ]
        labels = {
            "gold_share": "Known answers among the work (share)",
            "gold_feedback": "Tell annotators how they did on them",
            "pause_below": "Pause below (share right)",
            "pause_window": "Counted over the last (known answers)",
            "repeat_share": "Repeats among the work (share)",
            "qualification_required": "Newcomers take the test before they work",
            "qualification_pass_mark": "Pass mark (share right)",
            "qualification_attempts": "Attempts",
            "review_gap": "Send conflicts to review from (steps)",
        }
        help_texts = {
            "gold_share": "0.05 mixes in about one comparison in twenty; each costs like a label.",
            "pause_below": "Empty: nobody is paused automatically.",
            "repeat_share": "Shows people an earlier comparison again: do they say the same?",
            "review_gap": "Of five points, “A much” and “B slightly” are 3 steps apart.",
        }


class GoldForm(forms.Form):
    """The known answer of a comparison."""

    accepted = forms.CharField(
        label="Accepted answers, one a line",
        widget=forms.Textarea(attrs={"rows": 3}),
        max_length=2_000,
        help_text="A, B, tie, both bad or cannot judge; for rankings an order such as A > B = C, "
        "in which what is left out may stand anywhere. Letters as on the comparison's page.",
    )
    use = forms.ChoiceField(choices=Gold.Use.choices, label="Use")
    explanation = forms.CharField(
        required=False,
        label="Why",
        widget=forms.Textarea(attrs={"rows": 2}),
        max_length=2_000,
        help_text="Shown after the answer where feedback is on.",
    )


class GoldChangeForm(GoldForm):
    """A change of a known answer."""

    is_active = forms.BooleanField(required=False, label="In use")


class ReviewForm(forms.Form):
    """A reviewer's verdict, in the order in which the responses are shown."""

    idempotency_key = forms.UUIDField(widget=forms.HiddenInput)
    choice = forms.ChoiceField(label=_("Verdict"), widget=forms.RadioSelect, required=False)
    order = forms.CharField(
        required=False,
        label=_("Order, best first"),
        max_length=200,
        help_text=_("Every letter once, such as B > A = C."),
    )
    rationale = forms.CharField(
        required=False,
        label=_("Why"),
        widget=forms.Textarea(attrs={"rows": 3}),
        max_length=20_000,
    )

    def __init__(self, *args: Any, protocol: Protocol, n_responses: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_pairwise = n_responses == 2 and protocol.kind == Protocol.Kind.PAIRWISE
        choice = self.fields["choice"]
        assert isinstance(choice, forms.ChoiceField)
        choice.choices = _choices(protocol, is_pairwise=self.is_pairwise)
        choice.required = self.is_pairwise
        if self.is_pairwise:
            del self.fields["order"]
        elif not choice.choices:
            del self.fields["choice"]


def _choices(protocol: Protocol, *, is_pairwise: bool) -> list[tuple[str, str]]:
    """Verdicts on a pairwise scale from left to right, then those without a direction."""
    found = []
    if is_pairwise:
        steps = _steps(protocol)
        found += [(f"ranked:{-n}", better_by("A", n, steps[-1])) for n in reversed(steps)]
        found += [("tie:0", gettext("Tie"))] if protocol.allow_tie else []
        found += [(f"ranked:{n}", better_by("B", n, steps[-1])) for n in steps]
    if protocol.allow_both_bad:
        found.append(("both_bad:0", gettext("Both bad") if is_pairwise else gettext("All bad")))
    if protocol.allow_cannot_judge:
        found.append(("cannot_judge:0", gettext("Cannot judge")))
    return found


def _steps(protocol: Protocol) -> list[int]:
    return list(range(1, protocol.max_strength + 1))

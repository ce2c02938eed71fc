"""What annotators are asked, as an owner sets it: no code, one form."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import translation
from django.utils.text import slugify

from annotate.models import Protocol
from annotate.selectors.protocols import FLAG_NAMES, OVERALL_KEY, SKIP_NAMES, Names

ASKS = [
    ("strength", "Which response is better, and how much"),
    ("rating", "A rating of each response"),
    ("both", "Both"),
]
MAX_ASPECTS = 8
MAX_CHOICES = 9  # one digit each
KEY_CHARS = 40


class LinesField(forms.Field):
    """A list of short texts, one a line; texts that have a well-known key are stored by it."""

    widget = forms.Textarea

    def __init__(self, *, names: Names | None = None, **kwargs: Any) -> None:
        super().__init__(required=False, widget=forms.Textarea(attrs={"rows": 5}), **kwargs)
        self._names = names or {}

    @property
    def names(self) -> dict[str, str]:
        """The well-known keys by name, in the language of the owner's pages."""
        with translation.override("en"):
            return {key: str(name) for key, name in self._names.items()}

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        names = self.names
        return "\n".join(names.get(line) or line for line in value)

    def to_python(self, value: Any) -> list[str]:
        keys = {name: key for key, name in self.names.items()}
        lines = [line.strip() for line in str(value or "").splitlines()]
        return [keys.get(line, line) for line in lines if line]

    def validate(self, value: list[str]) -> None:
        super().validate(value)
        _check_choices(value)


class CategoriesField(LinesField):
    """Categories of highlights, one a line; a key is made from each name."""

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, list):
            return "\n".join(category["name"] for category in value)
        return value

    def clean(self, value: Any) -> list[dict[str, str]]:
        names: list[str] = super().clean(value)
        return [{"key": key, "name": name} for key, name in zip(_keys(names), names, strict=True)]


class AspectForm(forms.Form):
    """One aspect on which responses are judged."""

    key = forms.CharField(required=False, max_length=KEY_CHARS, widget=forms.HiddenInput)
    name = forms.CharField(required=False, max_length=60)
    ask = forms.ChoiceField(choices=ASKS, label="Ask for")
    reasons = LinesField(label="Reasons to tick, one a line")

    def has_changed(self) -> bool:
        # An empty row is no aspect, whatever else was chosen in it.
        return True


class _AspectFormSet(forms.BaseFormSet[AspectForm]):
    """The aspects; rows without a name are left out."""

    @property
    def aspects(self) -> list[dict[str, Any]]:
        rows = [form.cleaned_data for form in self.forms if form.cleaned_data.get("name")]
        keys = _keys([row["name"] for row in rows], [row["key"] for row in rows])
        return [
            {"key": key, "name": row["name"], "ask": row["ask"], "reasons": row["reasons"]}
            for key, row in zip(keys, rows, strict=True)
        ]


def _aspect_rows(data: Any, aspects: list[dict[str, Any]]) -> _AspectFormSet:
    factory: Any = forms.formset_factory(
        AspectForm, formset=_AspectFormSet, extra=0, max_num=MAX_ASPECTS, validate_max=True
    )
    initial = None if data else [{"ask": "strength", **aspect} for aspect in aspects]
    rows: _AspectFormSet = factory(data, initial=initial, prefix="aspects")
    return rows


class ProtocolForm(forms.ModelForm[Protocol]):
    """What annotators are asked; saving a change makes a new version."""

    span_categories = CategoriesField(
        label="Highlights, one category a line",
        help_text="Empty: nothing is highlighted. Example: Wrong fact.",
    )
    flags = LinesField(names=FLAG_NAMES, label="Flags, one a line")
    skip_reasons = LinesField(names=SKIP_NAMES, label="Reasons for skipping, one a line")

    class Meta:
        model = Protocol
        fields = [
            "kind",
            "scale_points",
            "allow_tie",
            "allow_both_bad",
            "allow_cannot_judge",
            "rating_points",
            "span_categories",
            "flags",
            "skip_reasons",
            "skip_policy",
            "rationale",
            "rationale_when",
            "rationale_min_chars",
            "overlap",
            "overlap_max",
            "settle_lead",
            "settle_with_judges",
            "quota",
            "lease_seconds",
        ]
        labels = {
            "kind": "Task",
            "scale_points": "Strength scale",
            "allow_tie": "Ties allowed",
            "allow_both_bad": "“Both bad” allowed",
            "allow_cannot_judge": "“Cannot judge” allowed",
            "rating_points": "Rating scale",
            "skip_policy": "A skipped comparison",
            "rationale": "Ask why",
            "rationale_when": "The reason is written",
            "rationale_min_chars": "Shortest reason (characters)",
            "overlap": "Human labels per comparison",
            "overlap_max": "At most, while votes do not settle it",
            "settle_lead": "Settled when ahead by (votes)",
            "settle_with_judges": "Verdicts of judges count as votes when settling",
            "quota": "Most labels by one person",
            "lease_seconds": "Lease (seconds)",
        }
        help_texts = {
            "scale_points": "Pairwise. Five points: A much, A slightly, tie, B slightly, B much.",
            "rating_points": "Rating tasks always ask for an overall rating of each response.",
            "overlap": "How many different people label each comparison.",
            "overlap_max": "0: never more than the number before.",
            "settle_lead": "",
            "settle_with_judges": "",
            "quota": "",
            "lease_seconds": "How long a comparison stays with somebody who does not answer.",
        }

    def __init__(self, data: Any = None, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self.aspects = _aspect_rows(data, self.instance.aspects)

    def is_valid(self) -> bool:
        return bool(self.aspects.is_valid()) and super().is_valid()

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if not self.aspects.is_valid():
            words = [str(words) for words in self.aspects.non_form_errors()]
            raise ValidationError(words or "An aspect needs another value.")
        values["aspects"] = self.aspects.aspects
        self._check_aspects(values)
        self._check_kind(values)
        return values

    def _check_aspects(self, values: dict[str, Any]) -> None:
        asked = {aspect["ask"] for aspect in values["aspects"]}
        if asked & {"rating", "both"} and not values.get("rating_points"):
            self.add_error("rating_points", "An aspect asks for ratings: choose their scale.")
        if asked & {"strength", "both"} and values.get("kind") != Protocol.Kind.PAIRWISE:
            self.add_error(
                None,
                "Only pairwise tasks weigh two responses against each other: let every aspect ask "
                "for a rating.",
            )

    def _check_kind(self, values: dict[str, Any]) -> None:
        if values.get("kind") == Protocol.Kind.RATING and not values.get("rating_points"):
            self.add_error("rating_points", "A rating task needs a scale.")
        most = values.get("overlap_max") or 0
        if most and most < (values.get("overlap") or 1):
            self.add_error(
                "overlap_max", "This cannot be below the human labels per comparison; 0 is off."
            )


def _check_choices(lines: list[str]) -> None:
    if len(lines) > MAX_CHOICES:
        raise ValidationError(
            f"{len(lines)} lines are too many: {MAX_CHOICES} at most, one digit each."
        )
    for line in lines:
        if len(line) > KEY_CHARS:
            raise ValidationError(f"“{line[:KEY_CHARS]}…” is longer than {KEY_CHARS} characters.")
        if lines.count(line) > 1:
            raise ValidationError(f"“{line}” stands there twice.")


def _keys(names: list[str], given: list[str] | None = None) -> list[str]:
    """A key per name: the one it had, otherwise made from the name, each only once."""
    taken = {OVERALL_KEY}
    keys: list[str] = []
    for name, old in zip(names, given or [""] * len(names), strict=True):
        base = old or slugify(name)[:30].replace("-", "_") or "aspect"
        key, number = base, 2
        while key in taken:
            key, number = f"{base}_{number}", number + 1
        taken.add(key)
        keys.append(key)
    return keys

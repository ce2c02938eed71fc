"""The forms of the data page."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.forms.utils import pretty_name

from annotate.formats.containers import CONTAINERS
from annotate.formats.mapped import NAMES
from annotate.formats.registry import AUTO, IMPORT_FORMATS
from annotate.forms import OwnIds
from annotate.models import DatasetVersion, LabelRule
from annotate.pairings import PAIRINGS
from annotate.selectors.filters import Filters, filters_of
from annotate.services.exports import EXPORT_FORMATS, PROMPTS, STYLES, columns_of

FORMAT_CHOICES = [
    (AUTO, "Find out from the file"),
    *((name, known.title) for name, known in IMPORT_FORMATS.items()),
]
STYLE_TITLES = {
    "auto": "As the prompts need",
    "standard": "Texts (standard)",
    "conversational": "Messages (conversational)",
}
PROMPT_TITLES = {"explicit": "In a column of its own", "implicit": "In front of both sides"}
PAIRING_TITLES = {
    "all": "Every pair",
    "best-worst": "Best and worst",
    "adjacent": "Neighbours in the ranking",
    "max-random": "Best and a random other",
}
MAPPED_TITLES = {
    "id": "Id", "prompt": "Prompt", "response_a": "Response A", "response_b": "Response B",
    "chosen": "Chosen response", "rejected": "Rejected response", "model_a": "Model of A",
    "model_b": "Model of B", "preference": "Verdict", "score_a": "Score of A",
    "score_b": "Score of B", "annotator": "Annotator", "strength": "Strength",
    "rationale": "Reason", "criterion": "Criterion",
}  # fmt: skip


class ImportForm(forms.Form):
    """A file to check and import."""

    file = forms.FileField(
        allow_empty_file=True,
        help_text="JSON lines, JSON, CSV, TSV or Parquet; plain, .gz or .zst.",
    )
    format = forms.ChoiceField(choices=FORMAT_CHOICES, initial=AUTO)


class HubForm(OwnIds, forms.Form):
    """A data set of the Hugging Face hub to check and import."""

    source = forms.CharField(label="Data set", max_length=200, help_text="owner/name on the hub.")
    config = forms.CharField(label="Configuration", max_length=200, required=False)
    split = forms.CharField(max_length=100, required=False, initial="train")


class MappingForm(forms.Form):
    """Which column of a file holds what."""

    one_means = forms.ChoiceField(
        label="A verdict of 1 means",
        choices=[("b", "B is better (0 is A)"), ("a", "A is better (2 is B)")],
    )
    kind = forms.ChoiceField(
        label="Verdicts are from", choices=[("human", "People"), ("judge", "LLM judges")]
    )
    meta = forms.MultipleChoiceField(
        label="Keep as metadata", required=False, widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, *args: Any, columns: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [("", "–"), *((name, name) for name in columns)]  # noqa: RUF001
        mapped = {
            name: forms.ChoiceField(
                label=MAPPED_TITLES[name], choices=choices, required=name == "prompt"
            )
            for name in NAMES
        }
        self.fields = {**mapped, **self.fields}
        meta = self.fields["meta"]
        meta.choices = choices[1:]  # type: ignore[attr-defined]

    def mapping(self) -> dict[str, Any]:
        """What the form says, without what it leaves open."""
        return {name: value for name, value in self.cleaned_data.items() if value}


class VersionForm(OwnIds, forms.Form):
    """How votes become labels in a new version, and what it takes in."""

    label_rule = forms.ChoiceField(
        choices=LabelRule.choices,
        initial=LabelRule.HUMAN_MAJORITY,
        help_text="An even split is no consensus: the row is left out and counted.",
    )
    criterion = forms.CharField(required=False, max_length=300, help_text="Only this criterion.")
    protocol_version = forms.IntegerField(
        required=False, min_value=1, help_text="Only verdicts given under this version."
    )
    min_votes = forms.IntegerField(
        required=False, min_value=0, label="Verdicts at least", help_text="Per comparison."
    )
    without_simulated = forms.BooleanField(required=False, label="Leave simulated verdicts out")
    without_leaks = forms.BooleanField(
        required=False, label="Leave comparisons out in which a response names its model"
    )

    def filters(self) -> Filters:
        """The filters that are set."""
        given = {name: value for name, value in self.cleaned_data.items() if name != "label_rule"}
        return filters_of(given)


def _offered_columns() -> list[tuple[str, str]]:
    # Read when a form is made: other apps add columns once they are loaded.
    return [(name, name) for name in columns_of(EXPORT_FORMATS["trl-preference"])]


class ExportForm(OwnIds, forms.Form):
    """What to write; at once through the API, or in the background."""

    format = forms.ChoiceField(
        choices=[(name, known.title) for name, known in EXPORT_FORMATS.items()]
    )
    container = forms.ChoiceField(
        required=False,
        label="File",
        choices=[
            ("", "As usual for the format"),
            *((name, known.title) for name, known in CONTAINERS.items()),
        ],
    )
    version = forms.TypedChoiceField(
        required=False,
        coerce=int,
        empty_value=None,
        help_text="A version gives the same bytes every time.",
    )
    label_rule = forms.ChoiceField(
        required=False, label="Label rule", choices=[("", "The version's own"), *LabelRule.choices]
    )
    pairing = forms.ChoiceField(
        label="Pairs of rankings", choices=[(name, PAIRING_TITLES[name]) for name in PAIRINGS]
    )
    style = forms.ChoiceField(choices=[(name, STYLE_TITLES[name]) for name in STYLES])
    prompt = forms.ChoiceField(choices=[(name, PROMPT_TITLES[name]) for name in PROMPTS])
    columns = forms.MultipleChoiceField(
        required=False,
        label="More columns",
        choices=_offered_columns,
        widget=forms.CheckboxSelectMultiple,
    )

    def offer_versions(self, versions: list[DatasetVersion]) -> None:
        """Fill in the versions to choose from; the newest is chosen."""
        self.fields["version"].choices = [  # type: ignore[attr-defined]
            *((v.number, f"v{v.number}: {v.n_rows:,} rows") for v in versions),
            ("", "Not frozen: everything labelled now"),
        ]
        self.initial["version"] = versions[0].number if versions else ""

    def options(self) -> dict[str, Any]:
        """The options of `export_open` without the version; columns that the format lacks go."""
        known = columns_of(EXPORT_FORMATS[self.cleaned_data["format"]])
        given = {name: value for name, value in self.cleaned_data.items() if name != "version"}
        chosen = tuple(name for name in given["columns"] if name in known)
        return {**given, "columns": chosen}


def asked_in_words(options: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What was chosen for an export, under the titles of its form."""
    rows = []
    for name, field in ExportForm().fields.items():
        value = options.get(name)
        if value and isinstance(field, forms.ChoiceField):
            titles: dict[str, Any] = dict(field.choices)  # type: ignore[arg-type]
            chosen = [value] if isinstance(value, str) else value
            said = ", ".join(str(titles.get(item, item)) for item in chosen)
            rows.append((str(field.label or pretty_name(name)), said))
    filters = filters_of(options.get("filters", {})).in_words()
    return [*rows, ("Filters", "; ".join(filters))] if filters else rows

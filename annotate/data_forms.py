"""The forms of the data page."""

from django import forms

from annotate.formats.registry import AUTO, IMPORT_FORMATS
from annotate.models import DatasetVersion, LabelRule
from annotate.services.exports import EXPORT_FORMATS, STYLES

FORMAT_CHOICES = [
    (AUTO, "Find out from the file"),
    *((name, known.title) for name, known in IMPORT_FORMATS.items()),
]
STYLE_TITLES = {
    "auto": "As the prompts need",
    "standard": "Texts (standard)",
    "conversational": "Messages (conversational)",
}


class ImportForm(forms.Form):
    """A file to check and import."""

    file = forms.FileField(
        allow_empty_file=True,
        help_text="Native JSONL, or CSV/TSV with the columns prompt, response_a, response_b.",
    )
    format = forms.ChoiceField(choices=FORMAT_CHOICES, initial=AUTO)


class VersionForm(forms.Form):
    """How votes become labels in a new version."""

    label_rule = forms.ChoiceField(
        choices=LabelRule.choices,
        initial=LabelRule.HUMAN_MAJORITY,
        help_text="An even split is no consensus: the row is left out and counted.",
    )


class ExportForm(forms.Form):
    """What to download; sent to the API, which answers with the file."""

    format = forms.ChoiceField(
        choices=[(name, known.title) for name, known in EXPORT_FORMATS.items()]
    )
    version = forms.TypedChoiceField(
        required=False,
        coerce=int,
        help_text="A version gives the same bytes every time.",
    )
    label_rule = forms.ChoiceField(
        required=False, label="Label rule", choices=[("", "The version's own"), *LabelRule.choices]
    )
    style = forms.ChoiceField(choices=[(name, STYLE_TITLES[name]) for name in STYLES])

    def offer_versions(self, versions: list[DatasetVersion]) -> None:
        """Fill in the versions to choose from; the newest is chosen."""
        self.fields["version"].choices = [  # type: ignore[attr-defined]
            *((v.number, f"v{v.number}: {v.n_rows:,} rows") for v in versions),
            ("", "Not frozen: everything labelled now"),
        ]
        self.initial["version"] = versions[0].number if versions else ""

"""What owners type about judges, their prompts and runs, checked before a service sees it."""

import json
from typing import Any

from django import forms

from annotate.models import Project
from modeling.core.judge_rankings import MAX_PAIRS, USUAL_PAIRS
from modeling.core.judge_templates import MAX_INSTRUCTIONS, STANDARD_INSTRUCTIONS
from modeling.judges.plugin_names import plugin_names
from modeling.judges.privacy import MAX_TERMS, terms_read
from modeling.models import Judge, JudgePrompt, RewardModel

Provider = Judge.Provider
NEEDED = {
    Provider.OPENAI: ("base_url", "model_name"),
    Provider.LOCAL: ("model_name",),
    Provider.PLUGIN: ("plugin",),
    Provider.REWARD_MODEL: (),
}
"""Fields that a provider cannot do without."""
ASKED_IN_WORDS = (
    "model_name", "prompt", "conflict_policy", "max_pairs", "family", "allow_related",
)  # fmt: skip
FIELDS = {
    Provider.OPENAI: (
        *ASKED_IN_WORDS, "base_url", "api_key_env", "structured", "n_samples", "ask_logprobs",
        "ranking_by", "pii_terms",
        "input_usd_per_million_tokens", "output_usd_per_million_tokens", "requests_per_minute",
        "tokens_per_minute", "pii_profile",
    ),
    Provider.LOCAL: ASKED_IN_WORDS,
    Provider.REWARD_MODEL: ("reward_model",),
    Provider.PLUGIN: ("plugin", "options"),
}  # fmt: skip
"""Fields that a provider has."""


class JudgeForm(forms.Form):
    """A judge: who is asked, how, at what price and within which limits."""

    name = forms.CharField(max_length=120, help_text="How this project calls the judge.")
    base_url = forms.URLField(
        label="Base URL",
        required=False,
        max_length=300,
        assume_scheme="https",
        help_text="Such as https://api.openai.com/v1 or http://localhost:8001/v1 (vLLM, Ollama).",
    )
    model_name = forms.CharField(
        label="Model",
        required=False,
        max_length=200,
        help_text="The endpoint's name for it, or the folder of a local model on the workers.",
    )
    api_key_env = forms.CharField(
        label="Environment variable of the key",
        required=False,
        max_length=80,
        help_text="A name that ends in _API_KEY, set where the workers run (or NAME_FILE for a "
        "secret file). The key itself is never stored.",
    )
    reward_model = forms.ModelChoiceField(
        label="Reward model",
        queryset=RewardModel.objects.none(),
        required=False,
        empty_label="The newest",
        help_text="It stays this one; a newer model is a new judge.",
    )
    plugin = forms.ChoiceField(
        label="Plug-in", required=False, help_text="The operator can allow more."
    )
    options = forms.CharField(
        label="Plug-in options (JSON)",
        required=False,
        help_text='For example {"reference": "answer"}: the metadata key of the right answer.',
        widget=forms.TextInput,
    )
    prompt = forms.ModelChoiceField(
        label="Prompt",
        queryset=JudgePrompt.objects.none(),
        required=False,
        empty_label="Standard prompt",
    )
    structured = forms.ChoiceField(
        label="Structured output",
        choices=Judge.Structured.choices,
        initial=Judge.Structured.OFF,
        required=False,
        help_text="Not every endpoint knows it; replies are read strictly in any case.",
    )
    n_samples = forms.IntegerField(
        label="Samples in each order",
        min_value=1,
        max_value=9,
        initial=1,
        required=False,
        help_text="More than one asks at temperature 0.7 and takes the most common verdict.",
    )
    ask_logprobs = forms.BooleanField(
        label="Ask for token probabilities",
        required=False,
        help_text="Where the endpoint gives them, they make the judge's confidence.",
    )
    conflict_policy = forms.ChoiceField(
        label="When the two orders disagree", choices=Judge.ConflictPolicy.choices
    )
    ranking_by = forms.ChoiceField(
        label="More than two responses",
        choices=Judge.RankingBy.choices,
        initial=Judge.RankingBy.PAIRS,
        required=False,
        help_text="Pairs cost more questions and lean less on where a response stands in a list.",
    )
    max_pairs = forms.IntegerField(
        label="Pairs of one comparison at most",
        min_value=1,
        max_value=MAX_PAIRS,
        initial=USUAL_PAIRS,
        required=False,
        help_text="15 are all pairs of six responses, 45 of ten. With fewer, every response meets "
        "equally many others. Each pair is two questions.",
    )
    input_usd_per_million_tokens = forms.DecimalField(
        label="USD per million input tokens", min_value=0, max_digits=10, decimal_places=4,
        initial=0, required=False,
    )  # fmt: skip
    output_usd_per_million_tokens = forms.DecimalField(
        label="USD per million output tokens", min_value=0, max_digits=10, decimal_places=4,
        initial=0, required=False,
    )  # fmt: skip
    requests_per_minute = forms.IntegerField(
        label="Requests per minute", required=False, min_value=1, max_value=2**31 - 1
    )
    tokens_per_minute = forms.IntegerField(
        label="Tokens per minute",
        required=False,
        min_value=1,
        max_value=2**31 - 1,
        help_text="Both limits hold over all workers together.",
    )
    pii_profile = forms.ChoiceField(
        label="Personal data in texts",
        choices=Judge.PiiProfile.choices,
        initial=Judge.PiiProfile.REPLACE,
        required=False,
        help_text="E-mail addresses, phone, card, account and social security numbers, IP "
        "addresses, and the names and terms listed below. Other names are not found.",
    )
    pii_terms = forms.CharField(
        label="Names and terms that must not leave",
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=f"One a line, at most {MAX_TERMS}: people, customers, products. Found as whole "
        "words in any case, and treated like personal data.",
    )
    family = forms.CharField(
        label="Model family",
        required=False,
        max_length=60,
        help_text="Empty: read from the model's name.",
    )
    allow_related = forms.BooleanField(
        label="May judge responses of its own model family",
        required=False,
        help_text="Off, such comparisons go to people. Turning it on is written to the audit "
        "trail.",
    )

    def __init__(
        self, *args: Any, project: Project, provider: str, is_named: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.provider = provider
        _queryset(self, "reward_model", project.reward_models.order_by("-number"))
        _queryset(self, "prompt", project.judge_prompts.order_by("name", "-version"))
        plugin = self.fields["plugin"]
        assert isinstance(plugin, forms.ChoiceField)
        plugin.choices = [("", "None"), *((name, name) for name in plugin_names())]
        kept = {*FIELDS[Provider(provider)], *(() if is_named else ("name",))}
        for name in set(self.fields) - kept:
            del self.fields[name]
        for name in NEEDED[Provider(provider)]:
            self.fields[name].required = True

    def groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        """The fields under the headings of the page."""
        return [
            (title, [self[name] for name in names if name in self.fields])
            for title, names in GROUPS
            if self.fields.keys() & set(names)
        ]

    def clean_options(self) -> dict[str, Any]:
        """Read the options as a JSON object."""
        text = self.cleaned_data.get("options") or "{}"
        try:
            options = json.loads(text)
        except json.JSONDecodeError:
            options = None
        if not isinstance(options, dict):
            raise forms.ValidationError('Write a JSON object, such as {"reference": "answer"}.')
        return options

    def clean_pii_terms(self) -> list[str]:
        """One name or term a line."""
        return terms_read(self.cleaned_data["pii_terms"])

    def clean(self) -> dict[str, Any]:
        """Fill in what was left empty."""
        cleaned = dict(super().clean() or {})
        defaults = {
            "n_samples": 1, "ranking_by": Judge.RankingBy.PAIRS, "max_pairs": USUAL_PAIRS,
            "structured": Judge.Structured.OFF,
            "pii_profile": Judge.PiiProfile.OFF, "input_usd_per_million_tokens": 0,
            "output_usd_per_million_tokens": 0,
        }  # fmt: skip
        for field, value in defaults.items():
            if field in cleaned and cleaned[field] in (None, ""):
                cleaned[field] = value
        return cleaned


GROUPS = (
    ("Who is asked", ("name", "base_url", "model_name", "api_key_env", "reward_model",
                      "plugin", "options")),
    ("How", ("prompt", "structured", "n_samples", "ask_logprobs", "conflict_policy",
             "ranking_by", "max_pairs")),
    ("Money and limits", ("input_usd_per_million_tokens", "output_usd_per_million_tokens",
                          "requests_per_minute", "tokens_per_minute")),
    ("Hygiene", ("pii_profile", "pii_terms", "family", "allow_related")),
)  # fmt: skip


class JudgeRunForm(forms.Form):
    """How much to ask a judge, and what it may cost."""

    n_comparisons = forms.IntegerField(
        label="Comparisons",
        min_value=1,
        max_value=100_000,
        initial=20,
        help_text="The next in the queue that this judge has not labelled; 1 is a test.",
    )
    cap_usd = forms.DecimalField(
        label="Cap (USD)",
        required=False,
        min_value=0,
        max_digits=12,
        decimal_places=2,
        help_text="The run stops before it could cost more. Empty: only the project's budget.",
    )
    n_workers = forms.IntegerField(
        label="Workers",
        min_value=1,
        max_value=32,
        initial=1,
        required=False,
        help_text="How many worker processes share the run; limits and cap hold for all together.",
    )

    def clean_n_workers(self) -> int:
        """One where nothing is said."""
        return self.cleaned_data.get("n_workers") or 1


class JudgeBatchForm(forms.Form):
    """A batch file instead of a run."""

    n_comparisons = forms.IntegerField(label="Comparisons", min_value=1, max_value=100_000)
    cap_usd = forms.DecimalField(
        label="Cap (USD)", required=False, min_value=0, max_digits=12, decimal_places=2
    )
    price_factor = forms.DecimalField(
        label="Share of the usual price",
        min_value=0,
        max_value=1,
        max_digits=4,
        decimal_places=3,
        initial="0.5",
    )
    is_uploaded = forms.BooleanField(
        label="Send the file to the endpoint",
        required=False,
        initial=True,
        help_text="Off: download it here, and bring the replies back.",
    )


class JudgeRepliesForm(forms.Form):
    """The reply file of a batch."""

    file = forms.FileField(label="Reply file (JSONL)")


class JudgePromptForm(forms.Form):
    """An owner's prompt; saving it makes a version."""

    name = forms.CharField(max_length=80)
    kind = forms.ChoiceField(label="Asked for", choices=JudgePrompt.Kind.choices)
    reply_order = forms.ChoiceField(
        label="Order of the reply",
        choices=JudgePrompt.ReplyOrder.choices,
        help_text="On recorded judges the verdict first was more accurate, and it costs less.",
    )
    instructions = forms.CharField(
        max_length=MAX_INSTRUCTIONS,
        initial=STANDARD_INSTRUCTIONS,
        widget=forms.Textarea(attrs={"rows": 8}),
        help_text="Who the judge is and what counts. {criterion} and {guideline} are filled in. "
        "What keeps responses from giving orders, and the format of the reply, is added below it.",
    )
    criterion = forms.CharField(
        required=False,
        max_length=300,
        help_text="Judge by this alone, such as factual accuracy. Empty: overall quality.",
    )
    principles = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="One a line, the most important first; at most 12.",
    )

    def clean_principles(self) -> list[str]:
        """One principle a line."""
        return [line.strip() for line in self.cleaned_data["principles"].splitlines() if line]


class ModelFamilyForm(forms.Form):
    """An addition to the table of model families."""

    starts_with = forms.CharField(
        label="Names that begin with", max_length=120, help_text="Such as our-chat-."
    )
    family = forms.CharField(max_length=60, help_text="Such as llama or openai.")


def _queryset(form: forms.Form, name: str, rows: Any) -> None:
    field = form.fields[name]
    assert isinstance(field, forms.ModelChoiceField)
    field.queryset = rows

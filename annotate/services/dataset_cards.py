"""The card of an exported dataset: what is in it, how far people agree, what is known to be off."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from annotate.formats.base import ComparisonRecord, PreferenceRecord
from annotate.formats.screening import leaks_of
from annotate.labels import FIRST, SECOND, outcome_of, standing
from annotate.quality_signals.betting import Share, wilson

LICENCE_KEYS = ("license", "licence")


@dataclass
class CardFigures:
    """Counts gathered while the rows are written."""

    n_comparisons: int = 0
    n_verdicts: Counter[str] = field(default_factory=Counter)
    n_simulated: int = 0
    people: set[tuple[str, str]] = field(default_factory=set)
    alike: Counter[str] = field(default_factory=Counter)
    met: Counter[str] = field(default_factory=Counter)
    n_directed: int = 0
    n_longer: int = 0
    n_shown: int = 0
    n_first_shown: int = 0
    n_leaks: int = 0
    licences: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    models: Counter[str] = field(default_factory=Counter)

    def add(self, record: ComparisonRecord) -> None:
        """Count one comparison."""
        self.n_comparisons += 1
        self.n_leaks += bool(leaks_of(record))
        found = (record.metadata.get(key) for key in LICENCE_KEYS)
        self.licences[str(next((licence for licence in found if licence), "unknown"))] += 1
        self.models.update(response.source_model or "unknown" for response in record.responses)
        verdicts = standing(record.preferences)
        for verdict in verdicts:
            self.n_verdicts[verdict.kind] += 1
            self.n_simulated += verdict.is_simulated
            self.people.add((verdict.kind, verdict.annotator))
            self.sources[str(verdict.origin.get("source", "unknown"))] += 1
        if len(record.responses) == 2:
            self._compare(record, verdicts)

    def _compare(self, record: ComparisonRecord, verdicts: list[PreferenceRecord]) -> None:
        said = [(v, outcome_of(v, 0, 1)) for v in verdicts if not v.replicate]
        for (one, first), (other, second) in combinations(said, 2):
            if first is not None and second is not None and one.annotator != other.annotator:
                kinds = " with ".join(sorted((one.kind, other.kind)))
                self.met[kinds] += 1
                self.alike[kinds] += first == second
        lengths = [len(response.text) for response in record.responses]
        for verdict, outcome in said:
            if verdict.kind == "human" and outcome in (FIRST, SECOND):
                self._directed(verdict, 0 if outcome == FIRST else 1, lengths)

    def _directed(self, verdict: PreferenceRecord, better: int, lengths: list[int]) -> None:
        if lengths[0] != lengths[1]:
            self.n_directed += 1
            self.n_longer += lengths[better] > lengths[1 - better]
        if verdict.shown_order:
            self.n_shown += 1
            self.n_first_shown += verdict.shown_order[0] == better


def dataset_card(*, manifest: dict[str, Any], title: str, figures: CardFigures, n_rows: int) -> str:
    """Write the card in Markdown, with the front matter that the Hugging Face hub reads."""
    return "\n".join((*_front(figures, title, n_rows), *_body(manifest, figures, title, n_rows)))


def _front(figures: CardFigures, title: str, n_rows: int) -> Iterator[str]:
    licences = [name for name in figures.licences if name != "unknown"]
    licence = licences[0].lower() if len(licences) == 1 and len(figures.licences) == 1 else "other"
    yield "---"
    yield f"pretty_name: {_quoted(title)}"
    yield f"license: {_quoted(licence)}"
    yield "tags:\n- preference\n- human-feedback"
    yield f"size_categories:\n- {_size(n_rows)}"
    yield "configs:\n- config_name: default\n  data_files:\n  - split: train"
    yield "    path: data/train.parquet"
    yield "---"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{escaped}"'


def _size(n: int) -> str:
    for top, name in ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K")):
        if n < top:
            return name
    return "100K<n<1M" if n < 1_000_000 else "1M<n<10M"


def _body(manifest: dict[str, Any], figures: CardFigures, title: str, n_rows: int) -> Iterator[str]:
    version = manifest.get("version")
    name = f", version {version['number']}" if version else ", not frozen"
    yield f"\n# {title}{name}\n"
    yield f"{n_rows:,} rows of {figures.n_comparisons:,} comparisons in the format"
    yield f"`{manifest['format']}`; labels by `{manifest['label_rule']}`,"
    yield f"pairs: {manifest['pairing']}."
    if version:
        yield f"Content hash `{version['content_hash']}`."
    if manifest["filters"]:
        yield f"Filters: `{manifest['filters']}`."
    yield "\n## Who said it\n"
    people = Counter(kind for kind, _ in figures.people)
    yield f"{figures.n_verdicts['human']:,} verdicts of {people['human']:,} people,"
    yield f"{figures.n_verdicts['judge']:,} of {people['judge']:,} LLM judges;"
    yield f"{figures.n_simulated:,} are simulated."
    yield f"\nSources: {_counts(figures.sources)}. Licences: {_counts(figures.licences)}."
    yield f"Models: {_counts(figures.models)}."
    yield "\n## Agreement\n"
    yield "Share of pairs of verdicts on one comparison that say the same; a tie is a verdict:\n"
    for kinds in sorted(figures.met):
        yield f"- {kinds}: {_share(wilson(figures.alike[kinds], figures.met[kinds]))}"
    yield "\n## Known biases\n"
    longer = wilson(figures.n_longer, figures.n_directed)
    first = wilson(figures.n_first_shown, figures.n_shown)
    yield f"- The longer response is preferred by people: {_share(longer)}"
    yield f"- The response shown first is preferred: {_share(first)}"
    yield f"- Comparisons in which a response names its model: {figures.n_leaks:,}"
    yield "\nIntervals are Wilson 95 %, as if pairs were independent, which one person's are not."
    yield "Verdicts come from the annotators of this project, not from a sample of a population.\n"


def _share(share: Share) -> str:
    if not share.n:
        return "not known (n = 0)"
    return f"{share.hits / share.n:.3f} [{share.low:.3f}, {share.high:.3f}], n = {share.n:,}"


def _counts(counts: Counter[str]) -> str:
    named = [f"{name} {count:,}" for name, count in counts.most_common(8)]
    return ", ".join(named) or "none"

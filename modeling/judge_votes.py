"""What judges and people said about pairs, from a file or from the database, in one form.

Plain Python: the numeric parts of the bench read it, and so may commands without a database.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from annotate.formats.base import ComparisonRecord, PreferenceRecord
from annotate.labels import standing
from modeling.metadata_columns import as_category, category_keys

FIRST, TIE, SECOND = 0, 1, 2
"""Codes of a verdict on two responses, those of ``modeling.core.agreement.PairVerdict``."""
BOTH_ORDERS = "both-orders"
OWN_RUN = "judge"
MIN_SAMPLES = 3
"""Replies of a judge to one comparison from which on their share says how sure it is."""
VALUE = {FIRST: 1.0, TIE: 0.5, SECOND: 0.0}


@dataclass(frozen=True, slots=True)
class Entry:
    """One stored verdict of a judge on one comparison; a judge may have several."""

    code: int
    strength: float | None
    probability: float | None
    extra: Mapping[str, Any]
    is_own_run: bool
    pk: int = 0


@dataclass(frozen=True, slots=True)
class RankingEntry:
    """One stored ranking of a judge."""

    ranking: tuple[int, ...]
    extra: Mapping[str, Any]
    pk: int = 0


@dataclass(frozen=True, slots=True)
class JudgeVote:
    """What a judge's entries on one comparison come to.

    ``strength`` has no sign; ``stated`` is the judge's own P(first preferred). ``is_conflict`` is
    unknown where one order was asked. ``first_picks`` has 1 for every reply that chose the response
    shown first and 0 for one that chose the other.
    """

    comparison: int
    prompt: int
    code: int
    strength: float | None = None
    stated: float | None = None
    is_conflict: bool | None = None
    first_picks: tuple[float, ...] = ()
    pk: int = 0


@dataclass(frozen=True, slots=True)
class JudgeRanking:
    """A judge's ranking of more than two responses.

    ``conflicts`` says for every compared pair whether its two orders disagreed, where both were
    asked; ``first_picks`` is as in `JudgeVote`, known where two were shown at a time.
    """

    comparison: int
    prompt: int
    ranking: tuple[int, ...]
    conflicts: tuple[bool, ...] = ()
    first_picks: tuple[float, ...] = ()
    pk: int = 0


@dataclass(frozen=True)
class RankingTable:
    """Rankings of more than two responses: everybody's by comparison, and one per judge."""

    human: Mapping[int, Sequence[tuple[int, ...]]] = field(default_factory=dict)
    judges: Mapping[str, Sequence[JudgeRanking]] = field(default_factory=dict)


@dataclass(frozen=True)
class VoteTable:
    """Verdicts on comparisons of two responses, and rankings of more.

    ``human`` holds everybody's codes by comparison, ``judges`` one vote per judge and comparison,
    ``slices`` what a comparison belongs to, ``panels`` which judges are made of others,
    ``n_unparsed`` how many comparisons a judge was asked about in vain.
    """

    n_comparisons: int
    human: Mapping[int, Sequence[int]]
    judges: Mapping[str, Sequence[JudgeVote]]
    slices: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    panels: frozenset[str] = frozenset()
    n_unparsed: Mapping[str, int] = field(default_factory=dict)
    rankings: RankingTable = field(default_factory=RankingTable)

    def truth(self) -> dict[int, int]:
        """The strict majority of the people; an even split is no truth."""
        found = {pk: Counter(codes).most_common(2) for pk, codes in self.human.items() if codes}
        return {
            pk: top[0][0] for pk, top in found.items() if len(top) == 1 or top[0][1] > top[1][1]
        }

    def human_share(self) -> dict[int, float]:
        """The people's mean vote for the first response, a tie counting one half."""
        return {
            pk: sum(VALUE[code] for code in codes) / len(codes)
            for pk, codes in self.human.items()
            if codes
        }


def code_of(ranking: Sequence[int]) -> int:
    """The verdict that a ranking of two responses says."""
    if ranking[0] == ranking[1]:
        return TIE
    return FIRST if ranking[0] < ranking[1] else SECOND


def vote_of(comparison: int, prompt: int, entries: Sequence[Entry]) -> JudgeVote:
    """Join a judge's entries on one comparison: both orders, several samples, or one reply.

    Orders that disagree make a tie and a conflict. Without known orders the most frequent verdict
    stands, and a draw is a tie.
    """
    by_order: defaultdict[bool | None, list[Entry]] = defaultdict(list)
    for entry in entries:
        swapped = entry.extra.get("order_swapped")
        by_order[None if swapped is None else bool(swapped)].append(entry)
    codes = [_plurality([e.code for e in group]) for group in by_order.values()]
    two_orders = len({order for order in by_order if order is not None}) == 2
    is_conflict = len(set(codes)) > 1 if two_orders else _told_conflict(entries)
    strengths = [s for entry in entries if (s := _strength(entry)) is not None]
    return JudgeVote(
        comparison=comparison,
        prompt=prompt,
        code=TIE if is_conflict and two_orders else _plurality(codes),
        strength=sum(strengths) / len(strengths) if strengths else None,
        stated=_stated(entries),
        is_conflict=is_conflict,
        first_picks=tuple(pick for entry in entries for pick in _first_picks(entry)),
        pk=max(entry.pk for entry in entries),
    )


def _plurality(codes: Sequence[int]) -> int:
    top = Counter(codes).most_common(2)
    return TIE if len(top) == 2 and top[0][1] == top[1][1] else top[0][0]


def _told_conflict(entries: Sequence[Entry]) -> bool | None:
    """Whether an entry itself says that its two orders disagreed; imports flag only conflicts."""
    told = [
        bool(entry.extra.get("order_inconsistent"))
        for entry in entries
        if len(entry.extra.get("orders", ())) > 1
        or entry.extra.get("protocol") == BOTH_ORDERS
        or entry.extra.get("order_inconsistent") is not None
    ]
    return any(told) if told else None


def _strength(entry: Entry) -> float | None:
    """The mean strength of the replies to both orders, else the verdict's, without sign."""
    stated = [order.get("strength") for order in entry.extra.get("orders", ())]
    known = [abs(float(s)) for s in stated if s is not None]
    if known:
        return sum(known) / len(known)
    return None if entry.strength is None else abs(entry.strength)


def _stated(entries: Sequence[Entry]) -> float | None:
    """The judge's own P(first preferred), averaged over its entries.

    What a run wrote as probability is only the table of strengths; its signals count in its place.
    """
    told = [p for entry in entries if (p := _signal(entry)) is not None]
    if told:
        return sum(told) / len(told)
    if len(entries) < MIN_SAMPLES:
        return None
    return _smoothed(sum(VALUE[entry.code] for entry in entries), len(entries))


def _signal(entry: Entry) -> float | None:
    """P(first preferred) by token probabilities, by the share of samples, or as imported."""
    if entry.extra.get("first_probability") is not None:
        return float(entry.extra["first_probability"])
    n, share = len(entry.extra.get("orders", ())), entry.extra.get("sample_share")
    if share is not None and n >= MIN_SAMPLES and entry.code != TIE:
        own = _smoothed(float(share) * n, n)
        return own if entry.code == FIRST else 1.0 - own
    # A run that asked in words wrote the table's prior as probability; others wrote their own.
    return None if entry.is_own_run and n else entry.probability


def _smoothed(hits: float, n: int) -> float:
    # Laplace's rule: five of five samples are no certainty.
    return (hits + 1.0) / (n + 2.0)


def _first_picks(entry: Entry) -> list[float]:
    """Whether each decided reply chose the response that was shown first, where that is known."""
    if "orders" in entry.extra:
        return [
            float((order["verdict"] == "first") != order["swapped"])
            for order in entry.extra["orders"]
            if order["verdict"] != "tie"
        ]
    swapped = entry.extra.get("order_swapped")
    if swapped is None or entry.code == TIE:
        return []
    return [float((entry.code == FIRST) != bool(swapped))]


def ranking_of(comparison: int, prompt: int, entry: RankingEntry) -> JudgeRanking:
    """Read a judge's ranking with what its run noted of every pair."""
    pairs = entry.extra.get("pairs", ())
    picks = [
        float((said == "first") != is_swapped)
        for _, _, *orders in pairs
        for is_swapped, said in zip((False, True), orders, strict=True)
        if said != "tie" and entry.extra.get("ranking_by") == "pairs"
    ]
    conflicts = tuple(original != swapped for _, _, original, swapped in pairs)
    return JudgeRanking(comparison, prompt, entry.ranking, conflicts, tuple(picks), entry.pk)


# --- From a file --------------------------------------------------------------------------------


def votes_of_records(records: Iterable[ComparisonRecord]) -> VoteTable:
    """Read the comparisons of a file."""
    reader = _RecordReader()
    for record in records:
        reader.read(record)
    return reader.table()


class _RecordReader:
    """Numbers comparisons and prompts in the order in which they appear."""

    def __init__(self) -> None:
        self._human: dict[int, list[int]] = {}
        self._entries: defaultdict[str, dict[int, list[Entry]]] = defaultdict(dict)
        self._human_rankings: defaultdict[int, list[tuple[int, ...]]] = defaultdict(list)
        self._rankings: defaultdict[str, list[JudgeRanking]] = defaultdict(list)
        self._unparsed: Counter[str] = Counter()
        self._prompts: dict[str, int] = {}
        self._prompt_of: dict[int, int] = {}
        self._numbers: dict[str, int] = {}
        self._metadata: dict[int, dict[str, Any]] = {}

    def read(self, record: ComparisonRecord) -> None:
        # A format with one label per row repeats the comparison.
        row = self._numbers.setdefault(record.external_id, len(self._numbers))
        self._metadata[row] = {**record.metadata, "criterion": record.criterion or None}
        self._prompt_of[row] = self._prompts.setdefault(record.prompt_text, len(self._prompts))
        is_pair = len(record.responses) == 2
        if is_pair:
            self._human.setdefault(row, []).extend(map(code_of, _human_rankings(record)))
        else:
            self._human_rankings[row].extend(_human_rankings(record))
        for verdict in standing(record.preferences):
            if verdict.kind != "judge":
                continue
            if verdict.ranking is None:
                self._unparsed[verdict.annotator] += 1
            elif is_pair:
                entry = _entry(verdict, verdict.ranking)
                self._entries[verdict.annotator].setdefault(row, []).append(entry)
            else:
                ranked = RankingEntry(tuple(verdict.ranking), verdict.extra)
                prompt = self._prompt_of[row]
                self._rankings[verdict.annotator].append(ranking_of(row, prompt, ranked))

    def table(self) -> VoteTable:
        names = sorted({*self._entries, *self._unparsed, *self._rankings})
        judges = {
            name: [
                vote_of(row, self._prompt_of[row], given)
                for row, given in self._entries[name].items()
            ]
            for name in names
        }
        return VoteTable(
            n_comparisons=len(self._numbers),
            human=self._human,
            judges=judges,
            slices=slices_of(self._metadata),
            n_unparsed=dict(self._unparsed),
            rankings=RankingTable(dict(self._human_rankings), dict(self._rankings)),
        )


def _human_rankings(record: ComparisonRecord) -> list[tuple[int, ...]]:
    """The people's rankings, the reviewer's alone where there is one; replicates do not count."""
    ranked = [
        (verdict.is_override, tuple(verdict.ranking))
        for verdict in standing(record.preferences)
        if verdict.kind == "human" and verdict.ranking is not None and verdict.replicate == 0
    ]
    overrides = [ranking for is_override, ranking in ranked if is_override]
    return overrides[-1:] or [ranking for _, ranking in ranked]


def _entry(verdict: PreferenceRecord, ranking: Sequence[int]) -> Entry:
    return Entry(
        code=code_of(ranking),
        strength=verdict.strength,
        probability=verdict.probability,
        extra=verdict.extra,
        is_own_run=verdict.origin.get("source") == OWN_RUN,
    )


# --- Slices -------------------------------------------------------------------------------------


def slices_of(metadata: Mapping[int, Mapping[str, Any]]) -> dict[int, tuple[str, ...]]:
    """Name the slices of each comparison: columns that most have, with a few recurring values."""
    keys = category_keys(list(metadata.values()))
    return {
        pk: tuple(
            f"{key}={name}" for key in keys if (name := as_category(record.get(key))) is not None
        )
        for pk, record in metadata.items()
    }

"""Comparisons as an owner searches, filters and sorts them; fast at a million.

Pages are found by key, not by number: the last row of a page says where the next one begins, so
every page costs the same and none shifts while rows are added.
"""

import base64
import binascii
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from django.contrib.postgres.search import SearchQuery
from django.core.cache import cache
from django.db import connection
from django.db.models import (
    BooleanField,
    Exists,
    Expression,
    F,
    FloatField,
    Func,
    Model,
    OuterRef,
    Q,
    QuerySet,
    Value,
)

from annotate.errors import ApplicationError
from annotate.models import Assignment, Comparison, ComparisonFigures, Flag, Project, Review

M = TypeVar("M", bound=Model)
STATES = {
    "": "All",
    "open": "Waiting for people",
    "held": "With somebody now",
    "labelled": "With a human label",
    "judged": "With a judge label only",
    "unlabelled": "Without any label",
    "review": "Waiting for a reviewer",
    "gold": "Known answers",
}
SOURCES = {
    "": "Any",
    "app": "Given in Tandem",
    "import": "Imported",
    "judge": "Judge run",
    "simulated": "Simulated",
}
ORDERS = {
    "queue": "Utility: highest priority first",
    "disagreement": "People disagree most",
    "judge_disagreement": "People and judges disagree most",
    "newest": "Newest",
    "oldest": "Oldest",
}
COUNTED_UP_TO = 10_000
FEW = 2_000
# So many rows are sorted in less time than a million are walked to find the first of them.
SORTED_UP_TO = 60_000
# So many are looked at before that: what lies spread fills a page long before their end.
STRETCH = 4_000
TERMS_SAMPLED = 2_000
TERMS_KEPT_S = 60


@dataclass(frozen=True)
class Filters:
    """Which comparisons to list and in which order; empty fields ask for nothing.

    ``slice`` is ``key=value`` of the metadata, ``model`` the source of one of the responses,
    ``source`` where a label came from, ``flag`` the reason of an open flag or ``any``.
    """

    q: str = ""
    state: str = ""
    source: str = ""
    model: str = ""
    slice: str = ""
    flag: str = ""
    skill: str = ""
    disagreement: float | None = None
    judge_disagreement: float | None = None
    order: str = "queue"

    @classmethod
    def read(cls, values: dict[str, Any], *, order: str = "queue") -> "Filters":
        """Take what is known of a form's or query's values; the rest is left out."""
        known = {each.name for each in fields(cls)}
        given = {name: value for name, value in values.items() if name in known}
        named = {name: value for name, value in given.items() if value not in (None, "")}
        return cls(**{"order": order, **named})

    def as_query(self) -> dict[str, str]:
        """The filters as they stand in an address, without those that ask for nothing."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        default = Filters()
        return {
            name: str(value) for name, value in values.items() if value != getattr(default, name)
        }


@dataclass(frozen=True)
class Order:
    """A way to sort: ascending by ``key`` and then by id, or by id alone.

    ``only`` are the rows that have a key.
    """

    key: Expression | None = None
    only: Q = field(default_factory=Q)
    is_newest_first: bool = False
    # The id as the index has it that holds the key.
    id_name: str = "pk"


def _by_figure(name: str) -> Order:
    # The project stands there twice, so that the index which begins with it can be used.
    only = Q(**{f"figures__{name}__isnull": False}, figures__project=F("project"))
    return Order(-F(f"figures__{name}"), only, id_name="figures__comparison_id")


_ORDERS: dict[str, Order] = {
    "queue": Order(-F("priority")),
    "disagreement": _by_figure("disagreement"),
    "judge_disagreement": _by_figure("judge_disagreement"),
    "newest": Order(is_newest_first=True),
    "oldest": Order(),
}


@dataclass(frozen=True)
class KeyPage:
    """One page and where the next begins; ``None`` at the end."""

    rows: list[Any]
    next_cursor: str | None


@dataclass(frozen=True)
class Count:
    """How many rows there are: exactly, or about so many by the planner's statistics."""

    n: int
    is_exact: bool


def explored(*, project: Project, filters: Filters) -> QuerySet[Comparison]:
    """The comparisons that pass the filters, in no order."""
    found: QuerySet[Comparison] = Comparison.objects.filter(project=project)
    found = _narrowed(found, project, filters)
    if filters.state:
        found = found.filter(_state(filters.state))
    if filters.skill:
        found = found.filter(skill=filters.skill)
    if filters.flag:
        found = found.filter(_flagged(filters.flag))
    for name in ("disagreement", "judge_disagreement"):
        least = getattr(filters, name)
        if least is not None:
            found = found.filter(**{f"figures__{name}__gte": least})
    return found


def _narrowed(
    found: QuerySet[Comparison], project: Project, filters: Filters
) -> QuerySet[Comparison]:
    """Leave what has the words and terms; where that is little, by its ids.

    The planner would otherwise walk the whole order of a million rows in search of a rare word.
    """
    # An id in full is meant as such: its hyphens would otherwise be read as "without".
    if filters.q and found.filter(external_id=filters.q).exists():
        found, filters = found.filter(external_id=filters.q), replace(filters, q="")
    rows = _figures(project, filters)
    if rows is None:
        return found
    few = list(rows[: FEW + 1])
    return found.filter(pk__in=few if len(few) <= FEW else rows)


def _figures(project: Project, filters: Filters) -> QuerySet[ComparisonFigures, int] | None:
    """The ids of what has the words and terms that are asked for; ``None`` if none are."""
    wanted = Q()
    if filters.q:
        wanted &= Q(document=SearchQuery(filters.q, search_type="websearch", config="simple"))
    kinds = (("source", filters.source), ("model", filters.model), ("meta", filters.slice))
    terms = [f"{kind}:{value}" for kind, value in kinds if value]
    if terms:
        wanted &= Q(terms__contains=terms)
    if not wanted:
        return None
    return ComparisonFigures.objects.filter(wanted, project=project).values_list("pk", flat=True)


def is_sparse(*, project: Project, filters: Filters) -> bool:
    """Whether to collect and sort what passes, if a stretch of the order does not fill a page.

    A slice often lies together, as its file came in: the walk may have to pass all the others.
    """
    rows = _figures(project, filters)
    return rows is not None and _rows_planned(rows) <= SORTED_UP_TO


def _state(state: str) -> Q:
    live = Assignment.objects.filter(comparison=OuterRef("pk"), state=Assignment.State.LIVE)
    waiting = Review.objects.filter(comparison=OuterRef("pk"), decided_at__isnull=True)
    states = {
        "open": Q(open_slots__gt=0),
        "held": Q(Exists(live)),
        "labelled": Q(figures__n_human__gt=0),
        "judged": Q(figures__n_human=0, figures__n_judge__gt=0),
        "unlabelled": Q(figures__n_human=0, figures__n_judge=0),
        "review": Q(Exists(waiting)),
        "gold": Q(is_gold=True),
    }
    if state not in states:
        raise ApplicationError(
            f"Unknown state {state!r}; use one of {', '.join(states)}.", field="state"
        )
    return states[state]


def _flagged(reason: str) -> Q:
    flags = Flag.objects.filter(comparison=OuterRef("pk"), resolved_at__isnull=True)
    return Q(Exists(flags if reason == "any" else flags.filter(reason=reason)))


class _Row(Func):
    function = "ROW"


class _IsAfter(Func):
    """``ROW(key, id) > ROW(value, id)``, which an index on (key, id) answers."""

    template = "%(expressions)s"
    arg_joiner = " > "
    output_field = BooleanField()


def key_page(
    *,
    found: QuerySet[Comparison],
    order: str,
    cursor: str = "",
    size: int = 50,
    sparse_in: Project | None = None,
) -> KeyPage:
    """Return the page that a cursor points at, or the first one.

    ``sparse_in`` is the project of which few rows pass (see `is_sparse`): the planner then walks
    the order's index for a stretch only.

    Raises
    ------
    ApplicationError
        If the order is unknown or the cursor is not one of this order's.
    """
    if order not in _ORDERS:
        raise ApplicationError(
            f"Unknown order {order!r}; use one of {', '.join(_ORDERS)}.", field="order"
        )
    by, after = _ORDERS[order], _cursor_read(cursor, order) if cursor else None
    listed = _first(found, by, after, size + 1, sparse_in)
    if len(listed) <= size:
        return KeyPage(listed, None)
    last = listed[size - 1]
    key = last.page_key if _ORDERS[order].key is not None else last.pk
    return KeyPage(listed[:size], cursor_write(order, key, last.pk))


def _first(
    found: QuerySet[Comparison],
    by: Order,
    after: tuple[float, int] | None,
    n: int,
    sparse_in: Project | None,
) -> list[Any]:
    """The first rows after a place, fewer than `n` only at the end."""
    if sparse_in is None:
        return list(_sorted(found, by, after)[:n])
    every = _sorted(Comparison.objects.filter(project=sparse_in), by, after)
    stretch = list(every.values_list("pk", flat=True)[:STRETCH])
    listed = list(_collected(found.filter(pk__in=stretch), by, after)[:n])
    return listed if len(listed) == n else list(_collected(found, by, after)[:n])


def _sorted(
    found: QuerySet[Comparison], by: Order, after: tuple[float, int] | None
) -> QuerySet[Comparison]:
    """The rows after a place, in order."""
    rows = found.filter(by.only)
    if by.key is None:
        name = "pk__lt" if by.is_newest_first else "pk__gt"
        rows = rows.filter(**{name: after[1]}) if after else rows
        return rows.order_by("-pk" if by.is_newest_first else "pk")
    rows = rows.annotate(page_key=by.key).order_by("page_key", by.id_name)
    if after is None:
        return rows
    place = _Row(Value(after[0], output_field=FloatField()), Value(after[1]))
    return rows.filter(_IsAfter(_Row(F("page_key"), F(by.id_name)), place))


def _collected(
    found: QuerySet[Comparison], by: Order, after: tuple[float, int] | None
) -> QuerySet[Comparison]:
    """The same rows in the same order, by expressions that no index holds."""
    rows = _sorted(found, by, after)
    if by.key is None:
        return rows.order_by((F("pk") * (-1 if by.is_newest_first else 1)).asc())
    return rows.order_by(F("page_key") + 0.0, "pk")


def cursor_write(order: str, value: float, pk: int) -> str:
    """Write where a page begins, for an address."""
    text = json.dumps([order, value, pk], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _cursor_read(cursor: str, order: str) -> tuple[float, int]:
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        name, value, pk = json.loads(base64.urlsafe_b64decode(padded.encode()))
        is_ours = name == order and isinstance(pk, int) and abs(pk) < 2**63
        if is_ours and isinstance(value, int | float) and abs(value) < 1e300:
            return float(value), pk
    except (ValueError, TypeError, binascii.Error, RecursionError):
        pass
    raise ApplicationError(
        "This cursor is not from a page of this order; take `next` as it is.", field="cursor"
    )


def count_about(found: QuerySet[M]) -> Count:
    """Count exactly while that is cheap; beyond, take the planner's estimate."""
    n = found.order_by()[: COUNTED_UP_TO + 1].count()
    if n <= COUNTED_UP_TO:
        return Count(n, is_exact=True)
    return Count(max(_rows_planned(found), COUNTED_UP_TO), is_exact=False)


def _rows_planned(found: QuerySet[Any, Any]) -> int:
    """How many rows the planner expects by its statistics."""
    sql, params = found.order_by().values("pk").query.sql_with_params()
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (FORMAT JSON) {sql}", params)
        plan = cursor.fetchone()[0]
    return int((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]["Plan Rows"])


def terms_usual(*, project: Project, kinds: Sequence[str], n: int = 100) -> dict[str, list[str]]:
    """The most usual terms of each kind among the newest comparisons, to choose from."""
    key = f"explorer-terms:{project.pk}"
    kept: dict[str, list[str]] | None = cache.get(key)
    if kept is None or set(kept) != set(kinds):
        newest = ComparisonFigures.objects.filter(project=project).order_by("-comparison")
        sample = list(newest.values_list("terms", flat=True)[:TERMS_SAMPLED])
        kept = {kind: _usual(sample, f"{kind}:", n) for kind in kinds}
        cache.set(key, kept, timeout=TERMS_KEPT_S if sample else 1)
    return kept


def _usual(sample: list[list[str]], prefix: str, n: int) -> list[str]:
    counts = Counter(term for terms in sample for term in terms if term.startswith(prefix))
    # What hardly repeats is an id or a text, not a slice.
    often = [term for term, count in counts.items() if count > 1 or len(counts) <= n]
    usual = sorted(often, key=lambda term: (-counts[term], term))[:n]
    return [term.removeprefix(prefix) for term in usual]

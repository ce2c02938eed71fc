"""Rendering ahead: the HTML of what comes next in the queue is made before anybody asks for it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db import connection
from django.utils import timezone

from annotate.models import Assignment, Comparison, ComparisonResponse
from annotate.rendering import markdown_to_html, renderer_version
from annotate.selectors.labelling import shown_texts

# Nobody labels so many in the seconds between two calls; those who do wait half a millisecond.
AHEAD = 60
MOST = 4_000
AT_WORK = timedelta(minutes=10)
KEPT = timedelta(hours=1)
CHUNK = 200

# From each annotator's own place in the queue; most stand at nearly the same one.
_NEXT_SQL = """
SELECT DISTINCT soon.id
FROM annotate_queueplace q
JOIN annotate_annotator a ON a.id = q.annotator_id
CROSS JOIN LATERAL unnest(ARRAY['']::varchar[] || a.skills) AS mine(skill)
CROSS JOIN LATERAL (
    SELECT c.id FROM annotate_comparison c
    WHERE c.project_id = a.project_id AND c.skill = mine.skill AND c.open_slots > 0
      AND NOT c.is_reserved AND NOT c.is_gold
      AND (- c.priority, c.id) >= (q.rank, q.comparison_id)
    ORDER BY - c.priority, c.id LIMIT %(ahead)s) AS soon
WHERE q.asked_at > %(at_work)s
  AND NOT EXISTS (SELECT 1 FROM annotate_renderedcomparison r
                  WHERE r.comparison_id = soon.id AND r.renderer = %(renderer)s)
LIMIT %(most)s
"""
_KEEP_SQL = """
INSERT INTO annotate_renderedcomparison (comparison_id, renderer, html)
SELECT made.id, %s, made.html
FROM unnest(%s::bigint[], %s::jsonb[]) AS made(id, html)
JOIN annotate_comparison c ON c.id = made.id
ON CONFLICT (comparison_id) DO UPDATE
SET renderer = excluded.renderer, html = excluded.html, made_at = now()
"""
_FORGET_SQL = """
DELETE FROM annotate_renderedcomparison r USING annotate_comparison c
WHERE c.id = r.comparison_id
  AND (c.open_slots = 0 OR r.renderer <> %(renderer)s OR r.made_at < %(kept)s)
"""


@dataclass(frozen=True)
class ShownHtml:
    """A comparison as it is read: its turns, and its responses in one order or another."""

    turns: list[str]
    responses: list[str]


def shown_html(*, assignment: Assignment) -> ShownHtml:
    """The comparison as safe HTML in the order in which its responses are shown.

    Rendered here unless a lease brought along what a worker had rendered ahead.
    """
    kept: dict[str, list[str]] | None = getattr(assignment, "rendered_ahead", None)
    if kept is not None:
        order = assignment.shown_order
        return ShownHtml(kept["turns"], [kept["responses"][position] for position in order])
    turns = [str(turn["content"]) for turn in assignment.comparison.prompt.turns]
    return html_of(turns, shown_texts(assignment=assignment))


def html_of(turns: Sequence[str], responses: Sequence[str]) -> ShownHtml:
    """Render turns and responses."""
    return ShownHtml([markdown_to_html(t) for t in turns], [markdown_to_html(t) for t in responses])


def render_ahead() -> int:
    """Render what comes next for everybody at work, forget what is done; say how many were made."""
    now = timezone.now()
    values: dict[str, Any] = {"renderer": renderer_version(), "ahead": AHEAD, "most": MOST}
    values |= {"at_work": now - AT_WORK, "kept": now - KEPT}
    with connection.cursor() as cursor:
        cursor.execute(_FORGET_SQL, values)
        cursor.execute(_NEXT_SQL, values)
        pks = [pk for (pk,) in cursor.fetchall()]
    for start in range(0, len(pks), CHUNK):
        _render(pks[start : start + CHUNK])
    return len(pks)


def _render(pks: Sequence[int]) -> None:
    parts = ComparisonResponse.objects.filter(comparison__in=pks).order_by("position")
    texts: dict[int, list[str]] = {pk: [] for pk in pks}
    for pk, text in parts.values_list("comparison_id", "response__text"):
        texts[pk].append(text)
    turns = Comparison.objects.filter(pk__in=pks).values_list("pk", "prompt__turns")
    made = {pk: html_of([str(turn["content"]) for turn in talk], texts[pk]) for pk, talk in turns}
    html = [json.dumps(vars(one)) for one in made.values()]
    with connection.cursor() as cursor:
        cursor.execute(_KEEP_SQL, [renderer_version(), list(made), html])

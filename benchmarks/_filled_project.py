"""A project of any size, made inside PostgreSQL, for benchmarks of the labelling day."""

from dataclasses import dataclass
from typing import LiteralString

import psycopg

PROMPTS_PER_COMPARISON = 20
HEAVY_SHARE = 0.05
MAX_HEAVY = 5_000

_PROJECT_SQL = """
INSERT INTO annotate_project (name, slug, description, is_demo, human_price_usd, committed_usd,
    created_at)
VALUES ('Benchmark', %(slug)s, '', false, 0.5, 0, now()) RETURNING id
"""
_PROTOCOL_SQL = """
INSERT INTO annotate_protocol (project_id, version, kind, scale_points, allow_tie, allow_both_bad,
    allow_cannot_judge, aspects, rating_points, span_categories, flags, skip_reasons, skip_policy,
    rationale, rationale_when, rationale_min_chars, overlap, overlap_max, settle_lead,
    settle_with_judges, quota, lease_seconds, created_at)
VALUES (%(project)s, 1, 'pairwise', 5, true, true, false, '[]', 0, '[]', '["other"]', '["other"]',
    'others', 'optional', 'after', 0, %(overlap)s, 0, 1, false, NULL, %(lease_seconds)s, now())
"""
# About 900 characters of Markdown, none like the other.
_PROMPTS_SQL = """
INSERT INTO annotate_prompt (project_id, turns, content_hash)
SELECT %(project)s, jsonb_build_array(jsonb_build_object('role', 'user', 'content',
        'Question ' || n || ': why does *' || md5(n::text) || '* rank above the others?')), 'p' || n
FROM generate_series(1, %(n_prompts)s) AS n
"""
_RESPONSES_SQL = """
INSERT INTO annotate_response (prompt_id, text, source_model, content_hash)
SELECT p.id, '## Answer ' || side || E'\\n\\n' || repeat('Some **words** about '
        || md5(p.id::text || side) || ' and `code`, then a list: ', 10)
        || E'\\n\\n- first point\\n- second point\\n- third point', 'model-' || side, 'r' || side
FROM annotate_prompt p, generate_series(0, 1) AS side WHERE p.project_id = %(project)s
"""
_COMPARISONS_SQL = """
INSERT INTO annotate_comparison (project_id, prompt_id, external_id, criterion, metadata,
    n_responses, wanted_labels, open_slots, priority, skill, is_reserved, is_gold, created_at)
SELECT %(project)s, first.id + n %% %(n_prompts)s, 'c' || n, '', '{}', 2, %(overlap)s, %(overlap)s,
       0, '', false, false, now()
FROM generate_series(1, %(n_comparisons)s) AS n,
     (SELECT min(id) AS id FROM annotate_prompt WHERE project_id = %(project)s) AS first
"""
_SLOTS_SQL = """
INSERT INTO annotate_comparisonresponse (comparison_id, response_id, position, external_id)
SELECT c.id, r.id, right(r.source_model, 1)::int, ''
FROM annotate_comparison c JOIN annotate_response r ON r.prompt_id = c.prompt_id
WHERE c.project_id = %(project)s
"""
_USERS_SQL = """
INSERT INTO auth_user (username, password, is_superuser, is_staff, is_active, first_name,
    last_name, email, date_joined)
SELECT %(slug)s || '-' || n, '!', false, false, true, '', '', '', now()
FROM generate_series(1, %(n_annotators)s) AS n RETURNING id
"""
_MEMBERS_SQL = """
INSERT INTO annotate_membership (project_id, user_id, role, created_at)
SELECT %(project)s, u, 'annotator', now() FROM unnest(%(users)s::int[]) AS u
"""
_ANNOTATORS_SQL = """
INSERT INTO annotate_annotator (project_id, kind, name, user_id, is_simulated, is_active,
    paused_reason, skills, created_at)
SELECT %(project)s, 'human', 'person-' || u, u, true, true, '', '{}', now()
FROM unnest(%(users)s::int[]) AS u
"""
# The first annotator labelled the head of the queue alone, so that all of it is still open: the
# hardest case for whoever looks for the next comparison.
_HEAVY_SQL = """
WITH head AS (
    SELECT id FROM annotate_comparison WHERE project_id = %(project)s ORDER BY id LIMIT %(n_heavy)s
), heavy AS (
    SELECT min(id) AS id FROM annotate_annotator WHERE project_id = %(project)s
), leases AS (
    INSERT INTO annotate_assignment (public_id, comparison_id, annotator_id, state, kind,
        replicate, shown_order, leased_at, expires_at, closed_at, price_usd, skip_reason)
    SELECT gen_random_uuid(), head.id, heavy.id, 'submitted', 'work', 0, '{0,1}', now(), now(),
           now(), 0.5, '' FROM head, heavy
    RETURNING id, comparison_id, annotator_id
), labels AS (
    INSERT INTO annotate_preference (comparison_id, annotator_id, protocol_id, assignment_id,
        verdict, ranking, strength, aspects, ratings, spans, rationale, shown_order, active_ms,
        cost_usd, source, reasons, is_override, replicate, idempotency_key, extra, created_at)
    SELECT l.comparison_id, l.annotator_id, p.id, l.id, 'ranked', '{0,1}', -1, '{}', '{}', '[]', '',
           '{0,1}', 9000, 0.5, 'app', '{}', false, 0, gen_random_uuid(), '{}', now()
    FROM leases l, annotate_protocol p WHERE p.project_id = %(project)s
)
UPDATE annotate_comparison c SET open_slots = c.open_slots - 1 FROM head WHERE c.id = head.id
"""
_CHECKS: tuple[LiteralString, ...] = (
    "VACUUM ANALYZE annotate_prompt", "VACUUM ANALYZE annotate_response",
    "VACUUM ANALYZE annotate_comparison", "VACUUM ANALYZE annotate_comparisonresponse",
    "VACUUM ANALYZE annotate_assignment", "VACUUM ANALYZE annotate_preference",
    "VACUUM ANALYZE annotate_annotator", "CHECKPOINT",
)  # fmt: skip


@dataclass(frozen=True)
class FilledProject:
    """What the benchmark's clients need to know."""

    pk: int
    slug: str
    user_ids: list[int]
    n_comparisons: int


def fill_project(
    connection: "psycopg.Connection[tuple[object, ...]]",
    *,
    slug: str,
    n_comparisons: int,
    n_annotators: int,
    overlap: int = 3,
    lease_seconds: int = 900,
    has_heavy: bool = True,
) -> FilledProject:
    """Make a project with comparisons, annotators and, if wanted, one who labelled thousands."""
    values: dict[str, object] = {
        "slug": slug,
        "n_comparisons": n_comparisons,
        "n_prompts": max(1, n_comparisons // PROMPTS_PER_COMPARISON),
        "n_annotators": n_annotators,
        "overlap": overlap,
        "lease_seconds": lease_seconds,
        "n_heavy": min(MAX_HEAVY, int(n_comparisons * HEAVY_SHARE)),
    }
    row = connection.execute(_PROJECT_SQL, values).fetchone()
    assert row is not None
    values["project"] = project = row[0]
    for statement in (_PROTOCOL_SQL, _PROMPTS_SQL, _RESPONSES_SQL, _COMPARISONS_SQL, _SLOTS_SQL):
        connection.execute(statement, values)
    users = [int(str(pk)) for (pk,) in connection.execute(_USERS_SQL, values).fetchall()]
    values["users"] = users
    for statement in (_MEMBERS_SQL, _ANNOTATORS_SQL, *([_HEAVY_SQL] if has_heavy else [])):
        connection.execute(statement, values)
    for statement in _CHECKS:
        connection.execute(statement)
    return FilledProject(int(str(project)), slug, users, n_comparisons)

"""Writing one batch of an import."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db import connection

from annotate.formats.base import PreferenceRecord
from annotate.models import (
    Annotator,
    Comparison,
    ComparisonResponse,
    Preference,
    Prompt,
    Response,
)
from annotate.services.copying import NULL, ids_reserve, lines_copy
from annotate.services.import_drafts import (
    COMPARISON_COLUMNS,
    PREFERENCE_COLUMNS,
    PROMPT_COLUMNS,
    RESPONSE_COLUMNS,
    SLOT_COLUMNS,
    Draft,
    draft_of,
    preference_line,
)
from annotate.services.import_plans import BatchPlan, ImportTarget
from annotate.services.references import Copied, references_in_sets
from annotate.services.slots import comparisons_recount
from annotate.services.table_statistics import empty_tables_analyze

# Rows that tell the planner something; smaller imports need no plan.
ENOUGH = 1_000
ResponseKey = tuple[int, str, str]
# A comparison's id, its verdicts and their lines.
Labelled = tuple[int, Sequence[PreferenceRecord], Sequence[str]]


def batch_write(*, target: ImportTarget, plan: BatchPlan, drafts: dict[str, Draft]) -> None:
    """Write what a plan adds; the caller holds the transaction and the comparison locks.

    A comparison whose draft was made of another record, with other verdicts, is drafted again.
    """
    _annotators_add(target, plan)
    to = target.destination
    made = [drafts[record.external_id] for record in plan.new]
    made = [
        draft if draft.record is record else draft_of(to, record)
        for draft, record in zip(made, plan.new, strict=True)
    ]
    added: list[Labelled] = [
        (pk, labels, [preference_line(to, record.external_id, label) for label in labels])
        for pk, (record, labels) in plan.labels.items()
    ]
    with references_in_sets(allowed=target.checks_in_sets) as copied:
        _rows_add(target, made, added, copied)
    if plan.labels:
        comparisons_recount(comparison_ids=sorted(plan.labels))
    target.has_comparisons = True
    if not target.is_planned_for and len(plan.new) >= ENOUGH:
        empty_tables_analyze()
        target.is_planned_for = True


def _rows_add(
    target: ImportTarget, drafts: list[Draft], added: list[Labelled], copied: Copied
) -> None:
    pks = _comparisons_add(target, drafts, copied) if drafts else []
    made: list[Labelled] = [
        (pk, draft.record.preferences, draft.preferences)
        for pk, draft in zip(pks, drafts, strict=True)
    ]
    _preferences_add(target, made + added, copied)


def _annotators_add(target: ImportTarget, plan: BatchPlan) -> None:
    given = [record.preferences for record in plan.new]
    given += [tuple(added) for _, added in plan.labels.values()]
    names: dict[tuple[str, str], bool] = {}
    for labels in given:
        for label in labels:
            names.setdefault((label.kind, label.annotator), label.is_simulated)
    missing = [
        Annotator(project=target.project, kind=kind, name=name, is_simulated=is_simulated)
        for (kind, name), is_simulated in names.items()
        if (kind, name) not in target.annotators
    ]
    for annotator in Annotator.objects.bulk_create(missing):
        target.annotators[annotator.kind, annotator.name] = annotator


def _comparisons_add(target: ImportTarget, drafts: list[Draft], copied: Copied) -> list[int]:
    prompts = _prompts_add(target, drafts, copied)
    responses = _responses_add(drafts, prompts, copied)
    pks = ids_reserve(Comparison, count=len(drafts))
    made = list(zip(pks, (prompts.ids[draft.prompt_hash] for draft in drafts), drafts, strict=True))
    lines_copy(
        Comparison,
        COMPARISON_COLUMNS,
        [f"{pk}\t{prompt_id}\t{draft.comparison}" for pk, prompt_id, draft in made],
    )
    copied.add(Comparison, "id", pks)
    lines_copy(
        ComparisonResponse,
        SLOT_COLUMNS,
        [
            f"{pk}\t{responses[prompt_id, response.source_model, response.content_hash]}\t"
            f"{response.slot}"
            for pk, prompt_id, draft in made
            for response in draft.responses
        ],
    )
    copied.add(ComparisonResponse, "comparison_id", pks)
    return pks


@dataclass(frozen=True, slots=True)
class _Prompts:
    """Every prompt's id by its hash; ``known`` were there already."""

    ids: dict[str, int]
    known: set[int]


# One probe of the index for each hash: given as a list, PostgreSQL reads the whole table where it
# has no statistics yet. Locked as a foreign key's check would.
_KNOWN_PROMPTS = """
SELECT hash, found.id FROM unnest(string_to_array(%s, ',')) AS hash CROSS JOIN LATERAL (
    SELECT id FROM annotate_prompt
    WHERE project_id = %s AND content_hash = hash OFFSET 0 FOR KEY SHARE
) AS found
"""


def _prompts_add(target: ImportTarget, drafts: list[Draft], copied: Copied) -> _Prompts:
    by_hash = {draft.prompt_hash: draft for draft in drafts}
    with connection.cursor() as cursor:
        cursor.execute(_KNOWN_PROMPTS, [",".join(by_hash), target.project.pk])
        found = dict(cursor.fetchall())
    missing = [digest for digest in by_hash if digest not in found]
    pks = ids_reserve(Prompt, count=len(missing))
    lines = [f"{pk}\t{by_hash[digest].prompt}" for pk, digest in zip(pks, missing, strict=True)]
    lines_copy(Prompt, PROMPT_COLUMNS, lines)
    copied.add(Prompt, "id", pks)
    return _Prompts({**found, **dict(zip(missing, pks, strict=True))}, set(found.values()))


def _responses_add(
    drafts: list[Draft], prompts: _Prompts, copied: Copied
) -> dict[ResponseKey, int]:
    """Return every response's id; only prompts that were there can have some of them already."""
    lines: dict[ResponseKey, str] = {}
    for draft in drafts:
        prompt_id = prompts.ids[draft.prompt_hash]
        for response in draft.responses:
            lines[prompt_id, response.source_model, response.content_hash] = response.line
    found = _known_responses(prompts.known)
    missing = [key for key in lines if key not in found] if found else list(lines)
    pks = ids_reserve(Response, count=len(missing))
    lines_copy(
        Response,
        RESPONSE_COLUMNS,
        [f"{pk}\t{key[0]}\t{lines[key]}" for pk, key in zip(pks, missing, strict=True)],
    )
    copied.add(Response, "id", pks)
    return {**found, **dict(zip(missing, pks, strict=True))}


_KNOWN_RESPONSES = (
    "SELECT prompt_id, source_model, content_hash, id FROM annotate_response"
    " WHERE prompt_id = ANY(%s) FOR KEY SHARE"
)


def _known_responses(prompt_ids: set[int]) -> dict[ResponseKey, int]:
    if not prompt_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_KNOWN_RESPONSES, [list(prompt_ids)])
        return {(prompt, model, digest): pk for prompt, model, digest, pk in cursor.fetchall()}


def _preferences_add(target: ImportTarget, labelled: list[Labelled], copied: Copied) -> None:
    n_labels = sum(len(labels) for _, labels, _ in labelled)
    if not n_labels:
        return
    pks = ids_reserve(Preference, count=n_labels)
    heads = _heads([pk for pk, labels, _ in labelled if any(x.revision for x in labels)])
    lines_copy(Preference, PREFERENCE_COLUMNS, _preferences(target, labelled, iter(pks), heads))
    copied.add(Preference, "id", pks)


def _preferences(
    target: ImportTarget,
    labelled: list[Labelled],
    pks: Iterator[int],
    heads: dict[tuple[int, int, int], int],
) -> Iterator[str]:
    for comparison_id, labels, lines in labelled:
        for label, line in zip(labels, lines, strict=True):
            pk = next(pks)
            annotator_id = target.annotators[label.kind, label.annotator].pk
            chain = (comparison_id, annotator_id, label.replicate)
            before = heads[chain] if label.revision else NULL
            heads[chain] = pk
            yield f"{pk}\t{comparison_id}\t{annotator_id}\t{before}\t{line}"


def _heads(comparison_ids: list[int]) -> dict[tuple[int, int, int], int]:
    """The standing verdict of each annotator on the comparisons that receive corrections."""
    if not comparison_ids:
        return {}
    rows = Preference.objects.current().filter(comparison_id__in=comparison_ids)
    fields = ("comparison_id", "annotator_id", "replicate", "pk")
    return {(c, a, r): pk for c, a, r, pk in rows.values_list(*fields)}

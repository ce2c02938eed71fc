"""Two of a comparison's many responses as a comparison of their own."""

from collections import defaultdict
from collections.abc import Mapping

from django.db import connection, transaction
from django.db.models import F

from annotate.models import Comparison, ComparisonResponse, Project
from annotate.services.slots import comparisons_lock

PAIR_OF = "pair_of"
"""Metadata key that names the comparison which a pair was taken from."""
_ID_LENGTH = 150

# People who hold the whole comparison at this moment may still finish it.
_CLOSE_SQL = """
UPDATE annotate_comparison SET wanted_labels = wanted_labels - open_slots, open_slots = 0
WHERE id = ANY(%s)
"""


@transaction.atomic
def comparisons_split(
    *, project: Project, pairs: Mapping[int, tuple[int, int]]
) -> dict[int, Comparison]:
    """Make a comparison of two responses out of each of many, and close the free slots of those.

    Parameters
    ----------
    project
        Whose comparisons.
    pairs
        Places of the two responses, by the id of the comparison they are taken from.

    Returns
    -------
    dict
        The new comparison by the id of the old one; with its prompt, criterion, metadata and skill.
    """
    comparisons_lock(comparison_ids=list(pairs))
    old = Comparison.objects.filter(project=project, pk__in=pairs)
    overlap = project.protocol.overlap
    made = {row.pk: _pair(row, pairs[row.pk], overlap) for row in old}
    Comparison.objects.bulk_create(made.values(), batch_size=2_000)
    slots = _slots(pairs)
    ComparisonResponse.objects.bulk_create(
        [
            ComparisonResponse(
                comparison=made[parent],
                response_id=slots[parent][place].response_id,
                position=position,
                external_id=slots[parent][place].external_id,
            )
            for parent, places in pairs.items()
            for position, place in enumerate(places)
        ],
        batch_size=2_000,
    )
    with connection.cursor() as cursor:
        cursor.execute(_CLOSE_SQL, [list(pairs)])
    return made


def _pair(row: Comparison, places: tuple[int, int], overlap: int) -> Comparison:
    first, second = (place + 1 for place in places)
    return Comparison(
        project_id=row.project_id,
        prompt_id=row.prompt_id,
        # Long ids can begin alike; the key tells them apart.
        external_id=f"{row.external_id[:_ID_LENGTH]}:{row.pk}:{first}-{second}",
        criterion=row.criterion,
        metadata=row.metadata | {PAIR_OF: row.external_id},
        n_responses=2,
        wanted_labels=overlap,
        open_slots=overlap,
        skill=row.skill,
    )


def _slots(pairs: Mapping[int, tuple[int, int]]) -> dict[int, dict[int, ComparisonResponse]]:
    found: dict[int, dict[int, ComparisonResponse]] = defaultdict(dict)
    for slot in ComparisonResponse.objects.filter(comparison__in=pairs):
        found[slot.comparison_id][slot.position] = slot
    return found


def asked_pairs(*, children: Mapping[int, int]) -> dict[int, set[tuple[int, int]]]:
    """Places of the responses that were compared already, by comparison they were taken from.

    Parameters
    ----------
    children
        For each comparison of two, the comparison it was taken from.
    """
    rows = ComparisonResponse.objects.filter(comparison__in=set(children.values()))
    place = {(s.comparison_id, s.response_id): s.position for s in rows.iterator()}
    places: dict[int, list[int]] = defaultdict(list)
    slots = ComparisonResponse.objects.filter(comparison__in=children).order_by(F("position"))
    for child, response in slots.values_list("comparison_id", "response_id").iterator():
        places[child].append(place[children[child], response])
    found: dict[int, set[tuple[int, int]]] = defaultdict(set)
    for child, parent in children.items():
        first, second = sorted(places[child])
        found[parent].add((first, second))
    return dict(found)

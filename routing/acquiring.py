"""Choose an acquisition batch: candidates, what the reward model is unsure of, and the report.

Workers import this module; pages and API do not, because it loads numpy.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from annotate.models import Assignment, Comparison, Preference, Project, Prompt
from modeling.artifacts import artifact_load
from modeling.models import RewardModel
from modeling.tables import LabelTable, label_table, prompt_embeddings, response_features
from routing.choices import RANDOM_STRATEGY
from routing.core.acquisition import STRATEGIES, AcquisitionInputs, Selection, compose_batch
from routing.core.acquisition.bald import mutual_information
from routing.core.acquisition.neighbours import (
    PromptGraph,
    ball_counts,
    build_prompt_graph,
    unique_prompt_codes,
)
from routing.core.arrays import FloatArray, IntArray
from routing.models import AcquisitionPick, AcquisitionRound
from routing.selectors import candidates_of

Report = Callable[[float, str], None]

# Two prompts this alike (cosine) are told to the owner as near-duplicates.
_NEAR_DUPLICATE = 0.95
_N_TARGETS = 500


@dataclass(frozen=True)
class Candidates:
    """Open comparisons that nobody has labelled, with the prompts they belong to."""

    comparison_ids: IntArray
    prompt: IntArray
    acquired_count: IntArray
    prompt_rows: IntArray


@dataclass(frozen=True)
class Batch:
    """The chosen comparisons in the order of the queue."""

    comparison_ids: IntArray
    selection: Selection
    order: IntArray
    uncertainty: FloatArray | None
    report: dict[str, Any]


def choose_batch(row: AcquisitionRound, *, report: Report) -> Batch:
    """Choose what to label next; nothing is written."""
    rng = np.random.default_rng(row.seed)
    report(0.05, "Reading candidates")
    candidates = _candidates(row.project)
    model, strategy, why = row.reward_model, row.strategy, ""
    if model is None and strategy != RANDOM_STRATEGY:
        strategy = RANDOM_STRATEGY
        why = (
            "There is no reward model yet, so this round is random. Train one, and the next "
            "round can tell what is worth a label."
        )
    encoder = model.encoder if model else "tfidf"
    report(0.1, "Reading the neighbourhood of every prompt")
    graph, embeddings = _prompt_graph(row.project, encoder, candidates)
    report(0.4, "Asking every member of the reward model")
    inputs = _inputs(row.project, candidates, model, strategy, graph, embeddings)
    report(0.8, "Choosing")
    selection = compose_batch(
        STRATEGIES[strategy], inputs, row.batch_size, rng, random_share=row.random_share
    )
    uncertainty = None if inputs.logits is None else mutual_information(inputs.logits)
    return Batch(
        comparison_ids=candidates.comparison_ids[selection.indices],
        selection=selection,
        order=_queue_order(selection, rng),
        uncertainty=None if uncertainty is None else uncertainty[selection.indices],
        report={
            "strategy": strategy,
            "sentence": why,
            "warnings": list(selection.warnings),
            **_figures(selection, candidates, graph, embeddings, uncertainty),
        },
    )


def _candidates(project: Project) -> Candidates:
    prompts = Prompt.objects.filter(project=project).order_by("pk")
    texts = {prompt.pk: prompt.text for prompt in prompts.iterator(chunk_size=5_000)}
    codes = unique_prompt_codes(list(texts.values()))
    code_of = dict(zip(texts, codes.tolist(), strict=True))
    found = candidates_of(project=project).order_by("pk").values_list("pk", "prompt_id")
    rows = np.array(list(found.iterator()), dtype=np.int64).reshape(-1, 2)
    n_codes = int(codes.max()) + 1 if len(codes) else 0
    acquired = [code_of[prompt] for prompt in _acquired_prompts(project)]
    return Candidates(
        comparison_ids=rows[:, 0],
        prompt=np.array([code_of[p] for p in rows[:, 1].tolist()], dtype=np.int64),
        acquired_count=np.bincount(acquired, minlength=n_codes).astype(np.int64)
        if acquired
        else np.zeros(n_codes, dtype=np.int64),
        # The first prompt of each code speaks for all of them.
        prompt_rows=np.unique(codes, return_index=True)[1],
    )


def _acquired_prompts(project: Project) -> list[int]:
    """The prompt of every comparison that is labelled, held or picked and waiting."""
    mine = Comparison.objects.filter(project=project)
    labelled = Preference.objects.human().filter(comparison__project=project)
    held = Assignment.objects.filter(comparison__project=project, state=Assignment.State.LIVE)
    picked = AcquisitionPick.objects.filter(round__project=project)
    taken = set(labelled.values_list("comparison_id", flat=True))
    taken |= set(held.values_list("comparison_id", flat=True))
    taken |= set(picked.values_list("comparison_id", flat=True))
    rows = mine.values_list("pk", "prompt_id").iterator()
    return [prompt for pk, prompt in rows if pk in taken]


def _prompt_graph(
    project: Project, encoder: str, candidates: Candidates
) -> tuple[PromptGraph, FloatArray]:
    _, vectors = prompt_embeddings(project=project, encoder=encoder)
    unique = np.asarray(vectors[candidates.prompt_rows], dtype=np.float64)
    return build_prompt_graph(unique), unique


def _inputs(
    project: Project,
    candidates: Candidates,
    model: RewardModel | None,
    strategy: str,
    graph: PromptGraph,
    embeddings: FloatArray,
) -> AcquisitionInputs:
    known: dict[str, Any] = {
        "n_candidates": len(candidates.comparison_ids),
        "prompt": candidates.prompt,
        "acquired_count": candidates.acquired_count,
        "prompt_graph": graph,
        "prompt_embeddings": embeddings,
    }
    if model is not None:
        known |= _model_columns(project, candidates, model, strategy)
    return AcquisitionInputs(**known)


def _model_columns(
    project: Project, candidates: Candidates, model: RewardModel, strategy: str
) -> dict[str, FloatArray]:
    """What the reward model says about candidates; the least sure pair stands for a ranking."""
    loaded = artifact_load(model)
    features = response_features(project=project, encoder=model.encoder, pipeline=loaded.pipeline)
    table = label_table(project=project, features=features)
    logits = loaded.logits(features, table.first, table.second)
    rows = _pair_of_candidate(table, candidates.comparison_ids, mutual_information(logits))
    columns = {"logits": logits[:, rows]}
    columns["target_logits"] = logits[:, :: max(1, logits.shape[1] // _N_TARGETS)]
    if "difference_features" in STRATEGIES[strategy].needs:
        labelled = np.unique(table.vote_row[table.vote_is_human])
        for name, chosen in (("difference_features", rows), ("labelled_differences", labelled)):
            gap = features.features[table.first[chosen]] - features.features[table.second[chosen]]
            columns[name] = gap.astype(np.float64)
        columns["labelled_logits"] = logits[:, labelled]
    return columns


def _pair_of_candidate(
    table: LabelTable, comparison_ids: IntArray, information: FloatArray
) -> IntArray:
    """Return, per candidate, the row of its pair of largest mutual information."""
    order = np.lexsort((-information, table.comparison_ids))
    ids, first = np.unique(table.comparison_ids[order], return_index=True)
    return np.asarray(order[first[np.searchsorted(ids, comparison_ids)]], dtype=np.int64)


def _queue_order(selection: Selection, rng: np.random.Generator) -> IntArray:
    """Mix random picks among the others at random places, so that nobody can tell them apart."""
    n = len(selection.indices)
    is_random = np.asarray(selection.is_random, dtype=np.bool_)
    place_is_random = np.zeros(n, dtype=np.bool_)
    place_is_random[rng.choice(n, size=int(is_random.sum()), replace=False)] = True
    order = np.empty(n, dtype=np.int64)
    order[place_is_random] = rng.permutation(np.flatnonzero(is_random))
    order[~place_is_random] = np.flatnonzero(~is_random)
    return order


def _figures(
    selection: Selection,
    candidates: Candidates,
    graph: PromptGraph,
    embeddings: FloatArray,
    uncertainty: FloatArray | None,
) -> dict[str, Any]:
    prompts = candidates.prompt[selection.indices]
    picked = np.bincount(prompts, minlength=graph.n_prompts)
    before, after = (
        float((ball_counts(graph, count) > 0).mean())
        for count in (candidates.acquired_count, candidates.acquired_count + picked)
    )
    figures: dict[str, Any] = {
        "n_candidates": len(candidates.comparison_ids),
        "n_picks": len(selection.indices),
        "n_random": int(np.sum(selection.is_random)),
        "n_prompts": len(np.unique(prompts)),
        "n_near_duplicates": _near_duplicates(embeddings, prompts),
        "coverage_before": before,
        "coverage_after": after,
    }
    if uncertainty is not None:
        chosen = selection.indices[~np.asarray(selection.is_random, dtype=np.bool_)]
        figures["uncertainty_picks"] = float(uncertainty[chosen].mean()) if len(chosen) else None
        figures["uncertainty_pool"] = float(uncertainty.mean())
    return figures


def _near_duplicates(embeddings: FloatArray, prompts: IntArray) -> int:
    """Count picks whose prompt is nearly that of an earlier pick of the batch."""
    vectors = embeddings[prompts]
    count = 0
    for start in range(0, len(vectors), 512):
        block = vectors[start : start + 512] @ vectors.T
        earlier = np.arange(len(vectors)) < np.arange(start, start + len(block))[:, None]
        count += int(((block >= _NEAR_DUPLICATE) & earlier).any(axis=1).sum())
    return count

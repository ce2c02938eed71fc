"""Choose an acquisition batch: candidates, what the reward model is unsure of, and the report.

Workers import this module; pages and API do not, because it loads numpy.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from annotate.models import Assignment, Comparison, Preference, Project, Prompt
from annotate.services.splitting import asked_pairs
from modeling.artifacts import artifact_load
from modeling.encoder_names import TFIDF
from modeling.row_blocks import row_blocks
from modeling.tables import prompt_embeddings
from routing.acquisition.candidate_columns import (
    AskedPairs,
    PairLayout,
    inputs_of,
    pair_rows,
    uncertainty_of,
)
from routing.acquisition.graph_cache import project_graph
from routing.acquisition.project_labels import ProjectLabels, project_labels
from routing.acquisition.prompt_map import prompt_map
from routing.acquisition.streams import streams_report
from routing.choices import INFORMATION_PAIR, RANDOM_STRATEGY
from routing.core.acquisition import STRATEGIES, AcquisitionInputs, Selection, compose_batch
from routing.core.acquisition.bal_pm import CALIBRATE_FROM, calibrate_beta
from routing.core.acquisition.bald import label_information
from routing.core.acquisition.coverage import near_duplicates
from routing.core.acquisition.neighbours import PromptGraph, ball_counts, unique_prompt_codes
from routing.core.acquisition.pairs import Pair, choose_pair
from routing.core.arrays import Float32Array, FloatArray, IntArray
from routing.models import AcquisitionPick, AcquisitionRound
from routing.selectors import candidates_of

Report = Callable[[float, str], None]

EARLY_ROUNDS = 3
EARLY_RANDOM_SHARE = 0.25


@dataclass(frozen=True)
class Candidates:
    """Open comparisons that nobody has labelled, with the prompts they belong to."""

    comparison_ids: IntArray
    n_responses: IntArray
    prompt: IntArray
    acquired_count: IntArray
    prompt_rows: IntArray
    pending_ids: IntArray
    asked: AskedPairs


@dataclass(frozen=True)
class Known:
    """What labels and reward model say: columns of the candidates, the pair of each, the gate."""

    columns: dict[str, Any]
    pairs: list[Pair]
    streams: dict[str, Any]
    n_labels: int


@dataclass(frozen=True)
class Batch:
    """The chosen comparisons in the order of the queue.

    ``pairs`` holds the places of the two responses to ask about, of comparisons with more.
    """

    comparison_ids: IntArray
    pairs: dict[int, Pair]
    selection: Selection
    order: IntArray
    uncertainty: FloatArray | None
    report: dict[str, Any]
    map: dict[str, Any]


def choose_batch(row: AcquisitionRound, *, report: Report) -> Batch:
    """Choose what to label next; nothing is written."""
    rng = np.random.default_rng(row.seed)
    report(0.05, "Reading candidates")
    candidates = _candidates(row)
    strategy, why = _strategy_of(row)
    report(0.1, "Reading the neighbourhood of every prompt")
    graph, embeddings = _prompt_graph(row, candidates, report)
    report(0.4, "Asking what the labels leave open")
    known = _known(row, candidates, rng, report)
    inputs = _inputs(candidates, known, graph, embeddings)
    inputs = replace(inputs, beta=beta_of(row, inputs, known.n_labels if known else 0))
    report(0.8, "Choosing")
    share = effective_random_share(row)
    selection = compose_batch(STRATEGIES[strategy], inputs, row.batch_size, rng, random_share=share)
    uncertainty = label_information(inputs) if known else None
    return Batch(
        comparison_ids=candidates.comparison_ids[selection.indices],
        pairs=_pairs_of(selection, candidates, known, rng) if row.pair_rule else {},
        selection=selection,
        order=_queue_order(selection, rng),
        uncertainty=None if uncertainty is None else uncertainty[selection.indices],
        report={
            "strategy": strategy,
            "sentence": why,
            "warnings": list(selection.warnings),
            "random_share": share,
            "beta": inputs.beta,
            "beta_is_frozen": bool(known and known.n_labels >= CALIBRATE_FROM),
            "streams": known.streams if known else {},
            **_figures(selection, candidates, graph, embeddings, uncertainty),
        },
        map=prompt_map(
            embeddings,
            candidates.acquired_count,
            candidates.prompt[selection.indices],
            np.asarray(selection.is_random, dtype=np.bool_) | (strategy == RANDOM_STRATEGY),
            seed=row.seed,
        ),
    )


def _strategy_of(row: AcquisitionRound) -> tuple[str, str]:
    """The strategy that can be followed, and why it is not the one that was asked for."""
    if row.reward_model is not None or row.strategy == RANDOM_STRATEGY:
        return row.strategy, ""
    return RANDOM_STRATEGY, (
        "There is no reward model yet, so this round is random. Train one, and the next "
        "round can tell what is worth a label."
    )


def _known(
    row: AcquisitionRound, candidates: Candidates, rng: np.random.Generator, report: Report
) -> Known | None:
    """What labels and reward model say about the candidates, and whether strategies have paid."""
    if row.reward_model is None:
        return None
    loaded = artifact_load(row.reward_model)
    labels = project_labels(
        project=row.project, encoder=row.reward_model.encoder, pipeline=loaded.pipeline
    )
    fitted, chosen = (np.random.default_rng([row.seed, purpose]) for purpose in range(2))
    pending = _pending_rows(labels, candidates)
    known = uncertainty_of(labels, loaded, kind=row.posterior, pending=pending, rng=fitted)
    rule = row.pair_rule or INFORMATION_PAIR
    ids = candidates.comparison_ids
    rows = pair_rows(labels, known, ids, rule=rule, asked=candidates.asked, rng=chosen)
    layout = PairLayout.of(labels.table)
    pairs = [layout.pair(*place) for place in zip(ids.tolist(), rows.tolist(), strict=True)]
    report(0.6, "Comparing the strategy with random labels")
    streams = streams_report(labels, rng.spawn(1)[0])
    n_labels = int((labels.weight > 0).sum())
    return Known(inputs_of(labels, known, rows), pairs, streams, n_labels)


def _pairs_of(
    selection: Selection, candidates: Candidates, known: Known | None, rng: np.random.Generator
) -> dict[int, Pair]:
    """The two responses to ask about, of picks with more; those of random picks are random too."""
    found = {}
    for index, is_random in zip(selection.indices.tolist(), selection.is_random, strict=True):
        comparison, n = int(candidates.comparison_ids[index]), int(candidates.n_responses[index])
        if n == 2:
            continue
        if known and not is_random:
            found[comparison] = known.pairs[index]
            continue
        asked = candidates.asked.get(comparison, ())
        found[comparison] = choose_pair("random", np.zeros((1, n)), rng, asked=asked)
    return found


def beta_of(row: AcquisitionRound, inputs: AcquisitionInputs, n_labels: int) -> float:
    """Weight of BAL-PM's prompt entropy: set once there are labels enough, then kept.

    Another posterior has information on another scale, and is calibrated anew.
    """
    earlier = AcquisitionRound.objects.filter(project=row.project, number__lt=row.number)
    frozen = earlier.filter(posterior=row.posterior, report__beta_is_frozen=True)
    last = frozen.order_by("-number").first()
    if last is not None:
        return float(last.report["beta"])
    return calibrate_beta(inputs) if n_labels >= CALIBRATE_FROM else inputs.beta


def effective_random_share(row: AcquisitionRound) -> float:
    """The share that is drawn at random: more in the first rounds, while the model knows little."""
    return (
        max(row.random_share, EARLY_RANDOM_SHARE)
        if row.number <= EARLY_ROUNDS
        else (row.random_share)
    )


def _candidates(row: AcquisitionRound) -> Candidates:
    project = row.project
    prompts = Prompt.objects.filter(project=project).order_by("pk")
    texts = {prompt.pk: prompt.text for prompt in prompts.iterator(chunk_size=5_000)}
    codes = unique_prompt_codes(list(texts.values()))
    code_of = dict(zip(texts, codes.tolist(), strict=True))
    found = candidates_of(project=project, by_pairs=bool(row.pair_rule)).order_by("pk")
    columns = found.values_list("pk", "prompt_id", "n_responses")
    rows = np.array(list(columns.iterator()), dtype=np.int64).reshape(-1, 3)
    n_codes = int(codes.max()) + 1 if len(codes) else 0
    taken = _taken(project)
    acquired = [code_of[prompt] for prompt in _prompts_of(project, taken)]
    return Candidates(
        comparison_ids=rows[:, 0],
        n_responses=rows[:, 2],
        prompt=np.array([code_of[p] for p in rows[:, 1].tolist()], dtype=np.int64),
        acquired_count=np.bincount(np.array(acquired, dtype=np.int64), minlength=n_codes).astype(
            np.int64
        ),
        # The first prompt of each code speaks for all of them.
        prompt_rows=np.unique(codes, return_index=True)[1],
        pending_ids=np.array(sorted(taken), dtype=np.int64),
        asked=_asked(project) if row.pair_rule else {},
    )


def _asked(project: Project) -> AskedPairs:
    picks = AcquisitionPick.objects.filter(round__project=project, parent__isnull=False)
    return asked_pairs(children=dict(picks.values_list("comparison_id", "parent_id")))


def _taken(project: Project) -> set[int]:
    """Every comparison that is labelled, held or picked and waiting."""
    labelled = Preference.objects.human().filter(comparison__project=project)
    held = Assignment.objects.filter(comparison__project=project, state=Assignment.State.LIVE)
    picked = AcquisitionPick.objects.filter(round__project=project)
    taken = set(labelled.values_list("comparison_id", flat=True))
    taken |= set(held.values_list("comparison_id", flat=True))
    return taken | set(picked.values_list("comparison_id", flat=True))


def _prompts_of(project: Project, comparison_ids: set[int]) -> list[int]:
    rows = Comparison.objects.filter(project=project).values_list("pk", "prompt_id").iterator()
    return [prompt for pk, prompt in rows if pk in comparison_ids]


def _prompt_graph(
    row: AcquisitionRound, candidates: Candidates, report: Report
) -> tuple[PromptGraph, Float32Array]:
    encoder = row.reward_model.encoder if row.reward_model else TFIDF
    _, vectors = prompt_embeddings(project=row.project, encoder=encoder)
    unique = _moved_up(vectors, candidates.prompt_rows)
    graph = project_graph(
        project_id=row.project.pk,
        encoder=encoder,
        points=unique,
        progress=lambda share, text: report(0.1 + 0.3 * share, text),
    )
    return graph, unique


def _moved_up(vectors: Float32Array, rows: IntArray) -> Float32Array:
    """Return some rows, in ascending order, in the place of the first: no second copy of all."""
    if len(rows) < len(vectors):
        for block in row_blocks(len(rows)):
            vectors[block] = vectors[rows[block]]
    return vectors[: len(rows)]


def _inputs(
    candidates: Candidates, known: Known | None, graph: PromptGraph, embeddings: Float32Array
) -> AcquisitionInputs:
    return AcquisitionInputs(
        n_candidates=len(candidates.comparison_ids),
        prompt=candidates.prompt,
        acquired_count=candidates.acquired_count,
        prompt_graph=graph,
        prompt_embeddings=embeddings,
        **(known.columns if known else {}),
    )


def _pending_rows(labels: ProjectLabels, candidates: Candidates) -> IntArray:
    """Pairs without a label that somebody holds or an earlier round has picked."""
    waiting = np.isin(labels.table.comparison_ids, candidates.pending_ids)
    return np.flatnonzero(waiting & ~labels.has_human & (labels.weight == 0))


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


def _avoided(
    candidates: Candidates,
    embeddings: Float32Array,
    prompts: IntArray,
    uncertainty: FloatArray | None,
) -> int | None:
    """Near-duplicates that the most uncertain candidates would have held beyond the picks'."""
    if uncertainty is None:
        return None
    greedy = np.argsort(-uncertainty, kind="stable")[: len(prompts)]
    blind = near_duplicates(embeddings, candidates.prompt[greedy])
    return blind - near_duplicates(embeddings, prompts)


def _figures(
    selection: Selection,
    candidates: Candidates,
    graph: PromptGraph,
    embeddings: Float32Array,
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
        "n_near_duplicates": near_duplicates(embeddings, prompts),
        "n_near_duplicates_avoided": _avoided(candidates, embeddings, prompts, uncertainty),
        "coverage_before": before,
        "coverage_after": after,
    }
    if uncertainty is not None:
        chosen = selection.indices[~np.asarray(selection.is_random, dtype=np.bool_)]
        figures["uncertainty_picks"] = float(uncertainty[chosen].mean()) if len(chosen) else None
        figures["uncertainty_pool"] = float(uncertainty.mean())
    return figures

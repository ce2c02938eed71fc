"""A stored reward model on the human labels of another project. Runs in a worker only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from annotate.errors import NotReady
from annotate.models import Comparison, Project, Prompt
from modeling.comparison_study import bench_figures
from modeling.core.metrics import pairwise_correct
from modeling.core.rewardbench import WEIGHTS, rewardbench_scores
from modeling.evaluation import HeldOut, evaluate
from modeling.human_pairs import HumanPairs, human_pairs
from modeling.models import RewardModel
from modeling.scoring import scorer_for

MIN_PAIRS = 10
TESTED_ON = "human labels of another project, on prompts that the model's project does not have"


def outside_figures(
    model: RewardModel, project: Project, *, seed: int, progress: Callable[[float, str], None]
) -> dict[str, Any]:
    """Return a model's figures on what people labelled in a project that it never saw.

    Parameters
    ----------
    model
        Asked for the rewards.
    project
        Whose human labels it is tested on, but for prompts that the model's own project has.
    seed
        Of the bootstrap.
    progress
        Called with the fraction done and a sentence; raises to cancel.

    Raises
    ------
    NotReady
        If too few labelled pairs are left.
    """
    progress(0.05, "Reading human labels")
    known = Prompt.objects.filter(project=model.project).values("content_hash")
    strange = Prompt.objects.filter(project=project).exclude(content_hash__in=known)
    ids = np.array(list(strange.values_list("pk", flat=True)), dtype=np.int64)
    pairs = human_pairs(project, lambda prompt_ids: np.isin(prompt_ids, ids))
    if pairs.target.size < MIN_PAIRS:
        raise NotReady(
            f"{project} has {pairs.target.size} human labels on prompts that {model.project} does "
            f"not have; {MIN_PAIRS} are needed."
        )
    progress(0.2, f"Scoring {len(pairs.responses):,} responses")
    chance = pairs.predicted(scorer_for(model))
    # Which side stands first says nothing here: the constant is a coin.
    held_out = HeldOut(pairs.target, pairs.prompt, pairs.longer, 0.5)
    figures = evaluate(chance, held_out, np.random.default_rng(seed))
    return {
        **figures,
        "held_out": TESTED_ON,
        "n_prompts_shared": Prompt.objects.filter(project=project).count() - ids.size,
        "bench": _bench(pairs, chance),
    }


def _bench(pairs: HumanPairs, chance: np.ndarray) -> dict[str, Any] | None:
    """RewardBench's figures, where the project's comparisons are in its subsets."""
    rows = Comparison.objects.filter(pk__in=np.unique(pairs.comparison).tolist())
    subset_of = dict(rows.values_list("pk", "metadata__subset"))
    subsets = [str(subset_of[pk] or "") for pk in pairs.comparison.tolist()]
    if not set(subsets) & set(WEIGHTS):
        return None
    correct, _ = pairwise_correct(chance, pairs.target)
    return bench_figures(rewardbench_scores(subsets, correct))

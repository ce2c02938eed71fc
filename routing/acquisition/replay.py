"""Replay recorded labels: what each query strategy would have bought, and how good it became."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from annotate.errors import ApplicationError
from modeling.core.metrics import log_losses, pairwise_correct
from routing.acquisition.features import Sides, leading_features
from routing.acquisition.posteriors import Belief, Labelled, belief_of
from routing.acquisition.recorded import RecordedPairs
from routing.choices import LAPLACE_POSTERIOR, RANDOM_STRATEGY, STRATEGIES
from routing.core.acquisition import STRATEGIES as RULES
from routing.core.acquisition import AcquisitionInputs, compose_batch, tie_hashes
from routing.core.acquisition.bal_pm import CALIBRATE_FROM, calibrate_beta
from routing.core.acquisition.coverage import near_duplicates
from routing.core.acquisition.neighbours import PromptGraph, build_prompt_graph
from routing.core.arrays import BoolArray, FloatArray, IntArray

Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class ReplaySettings:
    """How a replay is run; every strategy starts from the same labels on the same split.

    ``beta`` weighs BAL-PM's prompt entropy; without one it is calibrated once labels suffice.
    ``logit_scale`` is the prior's standard deviation of a typical logit; without one it is chosen
    again after every batch.
    """

    strategies: tuple[str, ...]
    batch_size: int = 50
    initial: int = 50
    rounds: int = 12
    seeds: int = 20
    test_share: float = 0.35
    posterior: str = LAPLACE_POSTERIOR
    random_share: float = 0.0
    per_prompt_cap: int | None = 1
    fair_share: bool = True
    first_seed: int = 0
    beta: float | None = None
    logit_scale: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be run, with a sentence."""
        unknown = [name for name in self.strategies if name not in STRATEGIES]
        if unknown:
            raise ApplicationError(
                f"Unknown strategy {unknown[0]!r}; use one of {', '.join(STRATEGIES)}.",
                field="strategies",
            )
        for name in ("batch_size", "initial", "rounds", "seeds"):
            if getattr(self, name) < 1:
                raise ApplicationError(f"{name} is {getattr(self, name)}; it must be 1 or more.")
        if not 0 < self.test_share < 1 or not 0 <= self.random_share <= 1:
            raise ApplicationError("Shares lie between 0 and 1.", field="test_share")
        if self.beta is not None and not self.beta >= 0:
            raise ApplicationError("beta is 0 or more.", field="beta")
        if self.logit_scale is not None and not self.logit_scale > 0:
            raise ApplicationError("logit_scale is above 0.", field="logit_scale")

    @property
    def every(self) -> tuple[str, ...]:
        """The strategies, random first: it is what the others are measured against."""
        return (RANDOM_STRATEGY, *(s for s in self.strategies if s != RANDOM_STRATEGY))

    @property
    def n_labels(self) -> list[int]:
        """Labels held at each point of a curve."""
        return [self.initial + k * self.batch_size for k in range(self.rounds + 1)]


@dataclass(frozen=True, eq=False)
class ReplayCurves:
    """Figures by strategy, seed and point; each array has shape (S, L), the last (S, rounds)."""

    log_loss: dict[str, FloatArray]
    accuracy: dict[str, FloatArray]
    near_duplicates: dict[str, FloatArray]
    unique_prompts: dict[str, FloatArray]


def replay(
    pairs: RecordedPairs, settings: ReplaySettings, *, progress: Progress | None = None
) -> ReplayCurves:
    """Run every strategy on every seed; seeds are paired over strategies.

    Raises
    ------
    ApplicationError
        If the training prompts hold too few comparisons for the last round.
    """
    world = World.of(pairs)
    shape = (settings.seeds, settings.rounds + 1)
    curves = ReplayCurves(
        *({name: np.empty(shape) for name in settings.every} for _ in range(2)),
        *({name: np.empty((settings.seeds, settings.rounds)) for name in settings.every}
          for _ in range(2)),
    )  # fmt: skip
    total = settings.seeds * len(settings.every)
    for seed in range(settings.seeds):
        split = split_of(world, settings, seed + settings.first_seed)
        for place, name in enumerate(settings.every):
            if progress is not None:
                done = (seed * len(settings.every) + place) / total
                progress(done, f"Seed {seed + 1} of {settings.seeds}: {STRATEGIES[name]}")
            run = _Run(world, split, settings, name)
            for point in range(settings.rounds + 1):
                curves.log_loss[name][seed, point], curves.accuracy[name][seed, point] = run.test()
                if point < settings.rounds:
                    copies, unique = run.step()
                    curves.near_duplicates[name][seed, point] = copies
                    curves.unique_prompts[name][seed, point] = unique
    return curves


@dataclass(frozen=True, eq=False)
class World:
    """Everything that no seed and no strategy changes."""

    pairs: RecordedPairs
    features: FloatArray
    typical_square: float
    graph: PromptGraph

    @classmethod
    def of(cls, pairs: RecordedPairs) -> World:
        """Reduce the embeddings and find every prompt's neighbours."""
        features = leading_features(pairs.responses, pairs.log_length, pairs.first, pairs.second)
        gaps = features[pairs.first] - features[pairs.second]
        return cls(
            pairs,
            features,
            float((gaps**2).sum(axis=1).mean()),
            build_prompt_graph(pairs.prompts),
        )

    def sides(self, rows: IntArray) -> Sides:
        """Both responses of some comparisons."""
        return Sides(self.features[self.pairs.first[rows]], self.features[self.pairs.second[rows]])

    def labelled(self, rows: IntArray) -> Labelled:
        """The same with their labels."""
        target = self.pairs.target[rows]
        return Labelled(self.sides(rows), target, np.ones(len(rows)), self.pairs.prompt[rows])


@dataclass(frozen=True, eq=False)
class Split:
    """Rows to buy from, rows to test on, and those that every strategy starts from."""

    seed: int
    train: IntArray
    test: IntArray
    start: IntArray


def split_of(world: World, settings: ReplaySettings, seed: int) -> Split:
    """Hold out whole prompts and draw the labels that every strategy starts from."""
    rng = np.random.default_rng([seed, 0])
    n_test = max(1, round(settings.test_share * world.pairs.n_prompts))
    held_out = np.zeros(world.pairs.n_prompts, dtype=np.bool_)
    held_out[rng.permutation(world.pairs.n_prompts)[:n_test]] = True
    is_test: BoolArray = held_out[world.pairs.prompt]
    train, test = np.flatnonzero(~is_test), np.flatnonzero(is_test)
    if len(train) < settings.n_labels[-1]:
        raise ApplicationError(
            f"The training prompts hold {len(train)} comparisons, fewer than the "
            f"{settings.n_labels[-1]} labels of the last round. Take fewer rounds or smaller "
            "batches.",
            field="rounds",
        )
    start = rng.choice(train, size=settings.initial, replace=False)
    return Split(seed, train, test, np.sort(start))


class _Run:
    """One strategy on one seed: fit, test, choose, reveal."""

    def __init__(self, world: World, split: Split, settings: ReplaySettings, strategy: str) -> None:
        self.world, self.split, self.settings = world, split, settings
        self.rule = RULES[strategy]
        self.labelled = split.start
        self.beta = settings.beta
        self.rng = np.random.default_rng([split.seed, 1])
        self.belief = self._fit()

    def _fit(self) -> Belief:
        return belief_of(
            self.world.labelled(self.labelled),
            kind=self.settings.posterior,
            typical_square=self.world.typical_square,
            rng=self.rng,
            logit_scale=self.settings.logit_scale,
        )

    def test(self) -> tuple[float, float]:
        """Log loss and accuracy on the held-out prompts."""
        chance = self.belief.predict_proba(self.world.sides(self.split.test))
        target = self.world.pairs.target[self.split.test]
        correct, decided = pairwise_correct(chance, target)
        return float(log_losses(chance, target).mean()), float(correct[decided].mean())

    def step(self) -> tuple[int, float]:
        """Choose a batch, reveal its labels, fit again; return copies and distinct prompts."""
        pool = np.setdiff1d(self.split.train, self.labelled)
        chosen = compose_batch(
            self.rule,
            self._weighed(self._inputs(pool)),
            self.settings.batch_size,
            self.rng,
            random_share=self.settings.random_share,
            per_prompt_cap=self.settings.per_prompt_cap,
            fair_share=self.settings.fair_share,
        )
        rows = pool[chosen.indices]
        prompts = self.world.pairs.prompt[rows]
        self.labelled = np.concatenate([self.labelled, rows])
        self.belief = self._fit()
        copies = near_duplicates(self.world.pairs.prompts, prompts)
        return copies, len(np.unique(prompts)) / len(prompts)

    def _weighed(self, inputs: AcquisitionInputs) -> AcquisitionInputs:
        """Weigh BAL-PM's prompt entropy as rounds do: calibrated once, then kept."""
        if self.beta is None and len(self.labelled) >= CALIBRATE_FROM:
            self.beta = calibrate_beta(inputs)
        return inputs if self.beta is None else replace(inputs, beta=self.beta)

    def _inputs(self, pool: IntArray) -> AcquisitionInputs:
        world, n_prompts = self.world, self.world.pairs.n_prompts
        candidates, known = world.sides(pool), world.sides(self.labelled)
        # The traffic that the model will serve: all training comparisons, labelled or not.
        targets = world.sides(self.split.train)
        held = np.bincount(world.pairs.prompt[self.labelled], minlength=n_prompts)
        return AcquisitionInputs(
            n_candidates=len(pool),
            prompt=world.pairs.prompt[pool],
            prompt_embeddings=world.pairs.prompts,
            prompt_graph=world.graph,
            acquired_count=held,
            difference_features=candidates.differences,
            labelled_differences=known.differences,
            target_differences=targets.differences,
            tie_hash=tie_hashes(
                (str(row) for row in pool),
                seed=self.split.seed,
                round_number=len(self.labelled),
            ),
            **self.belief.columns(candidates, known, targets),
        )


def split_strategies(text: str) -> tuple[str, ...]:
    """Read a comma-separated list; names may leave out their version."""
    known = {name.rsplit("-", 1)[0]: name for name in STRATEGIES}
    asked: Sequence[str] = [part.strip() for part in text.split(",") if part.strip()]
    return tuple(known.get(name, name) for name in asked) or tuple(STRATEGIES)

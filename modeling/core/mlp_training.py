"""The torch side of the neural ensemble: K networks as one stack of tensors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import gelu, softplus

from modeling.core.types import (
    BoolArray,
    Float32Array,
    FloatArray,
    IntArray,
    PairwiseData,
    Progress,
)

if TYPE_CHECKING:
    from modeling.core.mlp import MlpOptions

Network = list[tuple[Float32Array, Float32Array]]
Layers = list[tuple[Tensor, Tensor]]

MAX_GRADIENT_NORM = 1.0
PREDICTION_ROWS = 8192
"""Responses passed through all members at once when predicting; bounds the memory."""


@dataclass(frozen=True, eq=False)
class TrainedNetworks:
    """What training leaves behind.

    Attributes
    ----------
    layers : list of (ndarray (K, in, out), ndarray (K, out))
        Weights and biases of each member's kept epoch.
    best_epoch : ndarray of int64, shape (K,)
        Number of epochs behind those weights.
    held_out_log_loss : ndarray of float64, shape (K,)
        Loss on the pairs held out from each member; NaN without any.
    last_log_loss : float
        Mean training loss of the last epoch.
    """

    layers: Network
    best_epoch: IntArray
    held_out_log_loss: FloatArray
    last_log_loss: float


@dataclass(frozen=True)
class _Pairs:
    features: Tensor  # (n_responses, d)
    first: Tensor  # (n,)
    second: Tensor  # (n,)
    target: Tensor  # (n,)
    weight: Tensor  # (K, n), mean 1 in each row

    def logits(self, layers: Layers) -> Tensor:
        """Logits of every member on every pair, (K, n)."""
        rewards = forward(layers, self.features.expand(len(self.weight), -1, -1))
        return rewards[:, self.first] - rewards[:, self.second]


class _Snapshots:
    """The best weights of each member so far, by its held-out loss."""

    def __init__(self, layers: Layers, held_out: Tensor, patience: int) -> None:
        self._mask = held_out  # (K, n)
        self._patience = patience
        self._layers = [(weight.detach().clone(), bias.detach().clone()) for weight, bias in layers]
        self.loss = torch.full((len(held_out),), torch.inf, device=held_out.device)
        self.epoch = torch.zeros(len(held_out), dtype=torch.int64, device=held_out.device)

    @property
    def in_use(self) -> bool:
        return bool(self._mask.any())

    def update(self, layers: Layers, pairs: _Pairs, epoch: int) -> bool:
        """Keep improved members; tell whether every member has run out of patience."""
        losses = _pair_losses(pairs.logits(layers), pairs.target)
        held_out = (losses * self._mask).sum(1) / self._mask.sum(1).clamp_min(1)
        better = held_out < self.loss
        self.loss = torch.where(better, held_out, self.loss)
        self.epoch = torch.where(better, epoch, self.epoch)
        self._keep(layers, better)
        return bool((epoch - self.epoch >= self._patience).all())

    def finish(self, layers: Layers, epoch: int) -> Layers:
        """Give the kept weights, or the last ones where nothing was held out."""
        if not self.in_use:
            self.epoch = torch.full_like(self.epoch, epoch)
            self.loss = torch.full_like(self.loss, torch.nan)
            self._keep(layers, torch.ones_like(self.epoch, dtype=torch.bool))
        return self._layers

    def _keep(self, layers: Layers, better: Tensor) -> None:
        for kept, current in zip(self._layers, layers, strict=True):
            for old, new in zip(kept, current, strict=True):
                old[better] = new.detach()[better]


def train(
    data: PairwiseData,
    weights: FloatArray,
    seeds: NDArray[np.integer],
    options: MlpOptions,
    held_out: BoolArray,
    device: str,
    progress: Progress | None,
) -> TrainedNetworks:
    """Train K members side by side.

    Parameters
    ----------
    data : PairwiseData
        Labelled pairs.
    weights : ndarray of float64, shape (n, K)
        Weight of each pair in each member.
    seeds : ndarray of int, shape (K,)
        Seed of each member's initial weights and batch order.
    options : MlpOptions
        Widths, learning rate, epochs.
    held_out : ndarray of bool, shape (n, K)
        Pairs that choose each member's epoch; all False to keep the last.
    device : str
        Torch device.
    progress : callable or None
        Called after every epoch.

    Returns
    -------
    TrainedNetworks
        Kept weights and how they were chosen.
    """
    generators = [torch.Generator().manual_seed(int(seed)) for seed in seeds]
    sizes = (data.features.shape[1], *options.widths(data.features.shape[1]), 1)
    layers = _initial(sizes, generators, device)
    pairs = _pairs(data, weights, device)
    snapshots = _Snapshots(layers, torch.tensor(held_out.T, device=device), options.patience)
    parameters = [tensor for layer in layers for tensor in layer]
    optimiser = torch.optim.AdamW(
        parameters, lr=options.learning_rate, weight_decay=options.weight_decay
    )
    epoch, loss = 0, float("nan")
    for epoch in range(1, options.max_epochs + 1):
        loss = _epoch(layers, pairs, generators, optimiser, options.batch_size)
        if progress is not None:
            details = {"stage": "members", "epoch": epoch, "log_loss": loss}
            progress(epoch / (options.max_epochs + 1), details)
        if snapshots.in_use:
            with torch.no_grad():
                if snapshots.update(layers, pairs, epoch):
                    break
    kept = snapshots.finish(layers, epoch)
    arrays = [(weight.cpu().numpy(), bias.cpu().numpy()) for weight, bias in kept]
    held_out_loss = snapshots.loss.double().cpu().numpy()
    return TrainedNetworks(arrays, snapshots.epoch.cpu().numpy(), held_out_loss, loss)


def predict(layers: Network, features: Float32Array) -> Float32Array:
    """Rewards of every member.

    Parameters
    ----------
    layers : list of (ndarray (K, in, out), ndarray (K, out))
        Weights and biases.
    features : ndarray of float32, shape (n, d)
        One row per response.

    Returns
    -------
    ndarray of float32, shape (K, n)
        Rewards.
    """
    tensors = [(torch.tensor(weight), torch.tensor(bias)) for weight, bias in layers]
    n_members = len(layers[0][0])
    blocks = [
        forward(tensors, torch.tensor(features[start : start + PREDICTION_ROWS])[None])
        for start in range(0, len(features), PREDICTION_ROWS)
    ]
    empty = np.empty((n_members, 0), dtype=np.float32)
    return np.concatenate([empty, *(block.numpy() for block in blocks)], axis=1)


def forward(layers: Layers, inputs: Tensor) -> Tensor:
    """Pass inputs through every member's network.

    Parameters
    ----------
    layers : list of (Tensor (K, in, out), Tensor (K, out))
        Weights and biases.
    inputs : Tensor, shape (K or 1, n, d)
        Features.

    Returns
    -------
    Tensor, shape (K, n)
        Rewards.
    """
    hidden = inputs
    for depth, (weight, bias) in enumerate(layers):
        hidden = torch.matmul(hidden, weight) + bias[:, None, :]  # (K, n, out)
        if depth < len(layers) - 1:
            hidden = gelu(hidden)
    return hidden.squeeze(-1)


def _initial(sizes: tuple[int, ...], generators: list[torch.Generator], device: str) -> Layers:
    layers = []
    for n_in, n_out in pairwise(sizes):
        # Fan-in scaling keeps the spread of activations about 1 at any width.
        drawn = [torch.randn(n_in, n_out, generator=own) / n_in**0.5 for own in generators]
        weight = torch.stack(drawn).to(device).requires_grad_()
        bias = torch.zeros(len(generators), n_out, device=device)
        # The last bias shifts all rewards alike: no difference, no gradient, nothing to train.
        layers.append((weight, bias.requires_grad_(n_out > 1)))
    return layers


def _pairs(data: PairwiseData, weights: FloatArray, device: str) -> _Pairs:
    scaled = weights / weights.mean(axis=0)
    return _Pairs(
        features=torch.tensor(data.features, device=device),
        first=torch.tensor(data.first, device=device),
        second=torch.tensor(data.second, device=device),
        target=torch.tensor(data.target, dtype=torch.float32, device=device),
        weight=torch.tensor(scaled.T, dtype=torch.float32, device=device),
    )


def _epoch(
    layers: Layers,
    pairs: _Pairs,
    generators: list[torch.Generator],
    optimiser: torch.optim.Optimizer,
    batch_size: int,
) -> float:
    total, n_pairs = 0.0, len(pairs.target)
    for rows in _batches(n_pairs, generators, batch_size):  # (K, batch)
        index = rows.to(pairs.target.device)
        loss = _batch_loss(layers, pairs, index)  # (K,)
        optimiser.zero_grad()
        # Members share no parameter, so the sum gives each of them its own gradient.
        torch.autograd.backward(loss.sum())
        _clip_by_member(layers)
        optimiser.step()
        total += float(loss.detach().mean()) * index.shape[1]
    return total / n_pairs


def _batches(n_pairs: int, generators: list[torch.Generator], batch_size: int) -> Iterator[Tensor]:
    orders = torch.stack([torch.randperm(n_pairs, generator=own) for own in generators])
    yield from torch.split(orders, batch_size, dim=1)


def _batch_loss(layers: Layers, pairs: _Pairs, rows: Tensor) -> Tensor:
    both = torch.cat([pairs.first[rows], pairs.second[rows]], dim=1)  # (K, 2 batch)
    rewards = forward(layers, pairs.features[both])
    first, second = rewards.chunk(2, dim=1)
    losses = _pair_losses(first - second, pairs.target[rows])
    return (losses * pairs.weight.gather(1, rows)).mean(1)


def _pair_losses(logits: Tensor, target: Tensor) -> Tensor:
    return softplus(logits) - target * logits


def _clip_by_member(layers: Layers) -> None:
    gradients = [tensor.grad for layer in layers for tensor in layer if tensor.grad is not None]
    norms = torch.stack([gradient.flatten(1).norm(dim=1) for gradient in gradients]).norm(dim=0)
    factor = (MAX_GRADIENT_NORM / norms.clamp_min(1e-12)).clamp_max(1.0)  # (K,)
    for gradient in gradients:
        gradient.mul_(factor.reshape(-1, *[1] * (gradient.dim() - 1)))

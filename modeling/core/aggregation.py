"""Many labels of one comparison into one: majority, shares, or annotators weighed by skill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.special import logsumexp

from modeling.core.types import (
    ConvergenceError,
    FloatArray,
    IntArray,
    InvalidInputError,
    as_integers,
    as_weights,
    require_indices,
    require_length,
)

NO_CONSENSUS = -1
"""Label of a comparison whose most frequent class is not unique, or that has no label."""


@dataclass(frozen=True, eq=False)
class Votes:
    """Labels as integer codes, one row per label.

    Attributes
    ----------
    item : ndarray of int64, shape (n_labels,)
        Comparison of each label.
    annotator : ndarray of int64, shape (n_labels,)
        Annotator of each label.
    label : ndarray of int64, shape (n_labels,)
        Class of each label.
    n_items, n_annotators, n_classes : int
        How many of each there are; comparisons without a label are allowed.
    weight : ndarray of float64, shape (n_labels,), optional
        Non-negative weight of each label; all ones when left out.

    Raises
    ------
    InvalidInputError
        If lengths differ or a code lies outside its range.
    """

    item: IntArray
    annotator: IntArray
    label: IntArray
    n_items: int
    n_annotators: int
    n_classes: int
    weight: FloatArray | None = None

    def __post_init__(self) -> None:
        """Convert to the documented types and refuse what does not fit."""
        sizes = {"item": self.n_items, "annotator": self.n_annotators, "label": self.n_classes}
        for name, size in sizes.items():
            codes = as_integers(name, getattr(self, name))
            require_length(name, codes, len(self.item))
            require_indices(name, codes, size)
            object.__setattr__(self, name, codes)
        if self.weight is not None:
            weight = as_weights("weight", self.weight)
            require_length("weight", weight, len(self.item))
            object.__setattr__(self, "weight", weight)

    def counts(self) -> FloatArray:
        """Sum the weights by comparison and class.

        Returns
        -------
        ndarray of float64, shape (n_items, n_classes)
            Number of labels where no weights were given.
        """
        cells = self.item * self.n_classes + self.label
        counted = np.bincount(cells, self.weight, minlength=self.n_items * self.n_classes)
        return counted.reshape(self.n_items, self.n_classes).astype(np.float64)


def majority(votes: Votes) -> IntArray:
    """Take the class with strictly more labels than any other.

    Parameters
    ----------
    votes : Votes
        Labels.

    Returns
    -------
    ndarray of int64, shape (n_items,)
        Class, or `NO_CONSENSUS` for an even split or no labels: never the first in some order.
    """
    counts = votes.counts()
    most = counts.max(axis=1, initial=0.0)
    unique = (counts == most[:, None]).sum(axis=1) == 1
    return np.where(unique & (most > 0), counts.argmax(axis=1), NO_CONSENSUS)


def soft_label(votes: Votes, *, smoothing: float = 0.0) -> FloatArray:
    """Share of each class among the labels of a comparison.

    Parameters
    ----------
    votes : Votes
        Labels.
    smoothing : float, default 0.0
        Labels added to every class before sharing (1 is Laplace's rule).

    Returns
    -------
    ndarray of float64, shape (n_items, n_classes)
        Rows sum to 1; a comparison without labels has equal shares.

    Raises
    ------
    InvalidInputError
        If `smoothing` is negative.
    """
    if smoothing < 0:
        raise InvalidInputError(f"smoothing must not be negative; got {smoothing}.")
    counts = votes.counts() + smoothing
    total = counts.sum(axis=1, keepdims=True)
    equal = np.full_like(counts, 1.0 / votes.n_classes)
    shares: FloatArray = np.divide(counts, total, out=equal, where=total > 0)
    return shares


class DawidSkene:
    """Class of each comparison and confusion matrix of each annotator, found together by EM.

    Parameters
    ----------
    diagonal : float, default 2.0
        Right labels imagined in advance for every annotator and class, on top of `smoothing`. They
        say "annotators are rather right than wrong", without which classes could exchange names.
    smoothing : float, default 0.5
        Labels imagined in advance in every cell of every confusion matrix.
    class_smoothing : float, default 1.0
        Comparisons imagined in advance in every class.
    max_iter : int, default 500
        Largest number of EM steps.
    tol : float, default 1e-7
        Fit ends when a step gains less log posterior than this per label.

    Attributes
    ----------
    posterior_ : ndarray of float64, shape (n_items, n_classes)
        P(class | all labels).
    labels_ : ndarray of int64, shape (n_items,)
        Most probable class, `NO_CONSENSUS` where two are equally probable or there is no label.
    confusion_ : ndarray of float64, shape (n_annotators, n_classes, n_classes)
        P(label | class): rows are the true class.
    class_prior_ : ndarray of float64, shape (n_classes,)
        Class shares.
    accuracy_ : ndarray of float64, shape (n_annotators,)
        P(right label) of each annotator under the class shares.
    log_posterior_ : ndarray of float64, shape (n_iter,)
        Objective after each step; never falls.
    n_iter_ : int
        EM steps made.

    References
    ----------
    Dawid and Skene 1979, "Maximum likelihood estimation of observer error-rates using the EM
    algorithm", eqs. 2.3-2.5; the imagined labels are a Dirichlet prior on each row.
    """

    def __init__(
        self,
        *,
        diagonal: float = 2.0,
        smoothing: float = 0.5,
        class_smoothing: float = 1.0,
        max_iter: int = 500,
        tol: float = 1e-7,
    ) -> None:
        if min(smoothing, class_smoothing) <= 0 or diagonal < 0:
            raise InvalidInputError(
                "smoothing and class_smoothing must be positive and diagonal not negative; got "
                f"{smoothing}, {class_smoothing}, {diagonal}."
            )
        self.diagonal = diagonal
        self.smoothing = smoothing
        self.class_smoothing = class_smoothing
        self.max_iter = max_iter
        self.tol = tol

    def fit(self, votes: Votes) -> Self:
        """Run EM from the vote shares until the log posterior stops rising.

        Parameters
        ----------
        votes : Votes
            Labels; weights count as repeated labels.

        Returns
        -------
        DawidSkene
            Itself.

        Raises
        ------
        ConvergenceError
            If `max_iter` steps were not enough.
        InvalidInputError
            If there are no labels.
        """
        if votes.item.size == 0:
            raise InvalidInputError("votes is empty; Dawid-Skene needs at least one label.")
        history: list[float] = []
        posterior = soft_label(votes)
        for _ in range(self.max_iter):
            log_prior, log_confusion = self._m_step(votes, posterior)
            posterior, log_likelihood = _e_step(votes, log_prior, log_confusion)
            history.append(log_likelihood + self._log_prior_density(log_prior, log_confusion))
            if len(history) > 1 and history[-1] - history[-2] < self.tol * votes.item.size:
                return self._store(votes, posterior, log_prior, log_confusion, history)
        raise ConvergenceError(
            f"Dawid-Skene did not settle in {self.max_iter} steps; raise max_iter or tol."
        )

    def _m_step(self, votes: Votes, posterior: FloatArray) -> tuple[FloatArray, FloatArray]:
        class_counts = posterior.sum(axis=0) + self.class_smoothing
        confusion = np.full((votes.n_annotators, votes.n_classes, votes.n_classes), self.smoothing)
        confusion += self.diagonal * np.eye(votes.n_classes)
        weight = 1.0 if votes.weight is None else votes.weight[:, None]
        # Labels first, so that one row of the array takes one label's class probabilities.
        np.add.at(
            confusion.swapaxes(1, 2), (votes.annotator, votes.label), weight * posterior[votes.item]
        )
        confusion /= confusion.sum(axis=2, keepdims=True)
        return np.log(class_counts / class_counts.sum()), np.log(confusion)

    def _log_prior_density(self, log_prior: FloatArray, log_confusion: FloatArray) -> float:
        imagined = self.smoothing + self.diagonal * np.eye(log_prior.size)
        return float(self.class_smoothing * log_prior.sum() + (imagined * log_confusion).sum())

    def _store(
        self,
        votes: Votes,
        posterior: FloatArray,
        log_prior: FloatArray,
        log_confusion: FloatArray,
        history: list[float],
    ) -> Self:
        self.posterior_ = posterior
        self.confusion_: FloatArray = np.exp(log_confusion)
        self.class_prior_: FloatArray = np.exp(log_prior)
        diagonal = np.diagonal(self.confusion_, axis1=1, axis2=2)
        self.accuracy_: FloatArray = diagonal @ self.class_prior_
        self.log_posterior_ = np.array(history)
        self.n_iter_ = len(history)
        self.labels_ = _most_probable(votes, posterior)
        return self


def votes_from_ratings(ratings: Any, n_classes: int) -> Votes:
    """Read a rating matrix, with -1 for missing, as labels.

    Parameters
    ----------
    ratings : array-like of int, shape (n_comparisons, n_annotators)
        Class codes from 0; -1 where missing.
    n_classes : int
        Number of classes.

    Returns
    -------
    Votes
        One row per label that is there.
    """
    matrix = np.asarray(ratings)
    item, annotator = np.nonzero(matrix >= 0)
    label = matrix[item, annotator].astype(np.int64)
    return Votes(item, annotator, label, matrix.shape[0], matrix.shape[1], n_classes)


def _e_step(
    votes: Votes, log_prior: FloatArray, log_confusion: FloatArray
) -> tuple[FloatArray, float]:
    # Sums of logs: a product over dozens of labels would underflow.
    evidence = log_confusion[votes.annotator, :, votes.label]
    if votes.weight is not None:
        evidence = votes.weight[:, None] * evidence
    joint = np.tile(log_prior, (votes.n_items, 1))
    np.add.at(joint, votes.item, evidence)
    normaliser = np.asarray(logsumexp(joint, axis=1, keepdims=True))
    return np.exp(joint - normaliser), float(normaliser.sum())


def _most_probable(votes: Votes, posterior: FloatArray) -> IntArray:
    best = posterior.max(axis=1)
    # Two classes that symmetry makes equal differ by rounding only.
    unique = (posterior > best[:, None] - 1e-9).sum(axis=1) == 1
    labelled = np.bincount(votes.item, minlength=votes.n_items) > 0
    return np.where(unique & labelled, posterior.argmax(axis=1), NO_CONSENSUS)

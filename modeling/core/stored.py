"""Fitted state as arrays and JSON, and back, without pickle."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Self

from modeling.core.types import Arrays, Meta, require_keys


class Stored(ABC):
    """What can be taken apart and put together again, exactly.

    Attributes
    ----------
    stored_as : str
        What it is called in messages.
    stored_arrays, stored_meta : tuple of str
        Parts without which it cannot be put together.
    """

    stored_as: ClassVar[str]
    stored_arrays: ClassVar[tuple[str, ...]]
    stored_meta: ClassVar[tuple[str, ...]]

    @abstractmethod
    def to_arrays(self) -> tuple[Arrays, Meta]:
        """Take the fitted state apart.

        Returns
        -------
        arrays : dict of str to ndarray
            Fitted arrays.
        meta : dict
            Kind, version, options and fitted numbers, ready for JSON.
        """

    @classmethod
    def from_arrays(cls, arrays: Arrays, meta: Meta) -> Self:
        """Put fitted state together again.

        Parameters
        ----------
        arrays : dict of str to ndarray
            First part of `to_arrays`.
        meta : dict
            Second part of `to_arrays`.

        Returns
        -------
        Self
            The same as was taken apart.

        Raises
        ------
        InvalidInputError
            If a part is missing.
        """
        require_keys(f"{cls.stored_as} arrays", arrays, cls.stored_arrays)
        require_keys(f"{cls.stored_as} meta", meta, cls.stored_meta)
        return cls._restored(arrays, meta)

    @classmethod
    @abstractmethod
    def _restored(cls, arrays: Arrays, meta: Meta) -> Self:
        """Put together what has all its parts."""

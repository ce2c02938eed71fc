import subprocess
import sys

import numpy as np
import pytest

from routing.core.arrays import (
    RoutingInputError,
    as_mask,
    as_matrix,
    as_vector,
    require_same_length,
)


def test_importing_the_core_loads_no_framework() -> None:
    program = (
        "import sys, routing.core.policies, routing.core.deferral, routing.core.acquisition;"
        "print({'django', 'torch', 'sklearn', 'modeling', 'celery'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.decode().strip() == "set()"


def test_checked_arrays_come_back_as_float64() -> None:
    assert as_vector("x", [1, 2]).dtype == np.float64
    assert as_matrix("x", [[1, 2]]).dtype == np.float64
    assert as_mask("x", [[1, 0]]).dtype == np.bool_


@pytest.mark.parametrize(
    ("values", "length", "message"),
    [
        ([[1.0]], None, r"x has shape \(1, 1\)"),
        ([1.0], 2, r"pass shape \(2,\)"),
        ([1.0, np.inf], None, r"x\[1\] is inf"),
    ],
)
def test_bad_vectors_are_named(values: object, length: int | None, message: str) -> None:
    with pytest.raises(RoutingInputError, match=message):
        as_vector("x", values, length)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "shape", "message"),
    [
        ([1.0], (None, None), r"x has shape \(1,\)"),
        ([[1.0]], (None, 2), "'any', 2"),
        ([[1.0, np.nan]], (None, None), r"x\[0, 1\] is nan"),
    ],
)
def test_bad_matrices_are_named(
    values: object, shape: tuple[int | None, int | None], message: str
) -> None:
    with pytest.raises(RoutingInputError, match=message):
        as_matrix("x", values, shape)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "n_columns", "message"),
    [
        ([True], None, "shape"),
        ([[True]], 3, r"\(rows, 3\)"),
        ([[0.5]], None, "other than 0 and 1"),
    ],
)
def test_bad_masks_are_named(values: object, n_columns: int | None, message: str) -> None:
    with pytest.raises(RoutingInputError, match=message):
        as_mask("x", values, n_columns)  # type: ignore[arg-type]


def test_lengths_that_differ_are_listed() -> None:
    assert require_same_length(("a", "b"), [1, 2], [3, 4]) == 2
    with pytest.raises(RoutingInputError, match="a has 1, b has 2"):
        require_same_length(("a", "b"), [1], [3, 4])

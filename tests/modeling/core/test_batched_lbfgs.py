"""The optimiser's own promises, apart from any preference."""

import torch

from modeling.core.batched_lbfgs import HeadProblem, PointwiseLoss, minimise


def squares(value_sign: float) -> HeadProblem:
    """Give two heads on orthogonal columns; a sign of -1 makes the loss contradict its slope."""
    design = torch.eye(2, dtype=torch.float64) * torch.tensor([1.0, 3.0])
    return HeadProblem(
        design=design,
        spectrum=torch.tensor([0.5, 4.5], dtype=torch.float64),
        target=torch.tensor([[1.0, 2.0], [6.0, -3.0]], dtype=torch.float64),
        weight=torch.full((2, 2), 0.5, dtype=torch.float64),
        ridge=torch.zeros(2, dtype=torch.float64),
        loss=PointwiseLoss(
            value=lambda z, t: value_sign * 0.5 * (z - t).square(),
            slope=lambda z, t: z - t,
            curvature=1.0,
        ),
    )


def test_a_diagonal_quadratic_is_solved_in_one_step() -> None:
    fit = minimise(squares(1.0), max_iter=5, tol=1e-12)
    expected = torch.tensor([[1.0, 2.0], [2.0, -1.0]], dtype=torch.float64)
    torch.testing.assert_close(fit.heads, expected)
    assert (fit.n_iter, fit.converged) == (1, True)


def test_a_step_that_does_not_descend_is_not_taken() -> None:
    fit = minimise(squares(-1.0), max_iter=3, tol=1e-12)
    torch.testing.assert_close(fit.heads, torch.zeros(2, 2, dtype=torch.float64))
    assert not fit.converged


def test_the_predictor_is_that_of_the_heads() -> None:
    problem = squares(1.0)
    fit = minimise(problem, max_iter=5, tol=1e-12)
    torch.testing.assert_close(fit.predictor, problem.design @ fit.heads)

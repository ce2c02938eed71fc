"""Overlap with real server processes, real clients and ``kill -9``, in a small size.

``python benchmarks/overlap.py`` runs the full size.
"""

import pytest

from benchmarks.overlap import QUICK, besiege


@pytest.mark.slow
def test_every_comparison_ends_at_exactly_three_while_processes_are_killed(
    real_services: None,
) -> None:
    seen = besiege(QUICK)
    assert seen["max_taken"] <= 3
    assert seen["n_wrong_counts"] == 0
    assert seen["n_done"] == seen["n_comparisons"]
    assert seen["unaccounted_usd"] == 0
    assert seen["n_killed_server_processes"] + seen["n_killed_client_programs"] > 0

"""The collector leaves old objects alone during a block, and only then."""

import gc

import pytest

from annotate.collecting import old_objects_aside


def test_old_objects_are_set_aside_until_the_block_ends() -> None:
    with old_objects_aside():
        within = gc.get_freeze_count()
    assert within > 0
    assert gc.get_freeze_count() == 0


def test_an_error_ends_it_too() -> None:
    with pytest.raises(KeyError), old_objects_aside():
        raise KeyError
    assert gc.get_freeze_count() == 0


def test_objects_that_a_server_set_aside_for_good_stay_there() -> None:
    gc.freeze()
    try:
        with old_objects_aside():
            pass
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()

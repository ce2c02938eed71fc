"""Work on many rows a block at a time, so that no second copy of all of them is made."""

from collections.abc import Iterator

ROWS_AT_ONCE = 20_000


def row_blocks(n_rows: int, size: int = ROWS_AT_ONCE) -> Iterator[slice]:
    """Yield slices that cover the rows, in order."""
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))

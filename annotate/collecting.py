"""The garbage collector's part in work that makes millions of objects."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def old_objects_aside() -> Iterator[None]:
    """Keep the collector from going through everything that is older than this block.

    Objects that come and go by the thousand make it look through all that Django and its libraries
    have loaded again and again, which took a quarter of an import's time. A process that has set
    its objects aside for good (the web server's) is left as it is.
    """
    if gc.get_freeze_count():
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()

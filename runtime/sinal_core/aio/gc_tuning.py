"""Python's cycle collector, set for processes that hold batches: most of what a batch allocates
dies with it, by count.

With its defaults the collector looks at a batch of a thousand events dozens of times while it is
worked on and finds nothing: a quarter of a dispatcher's time. What a process has loaded at start
never dies and is left alone.
"""

from __future__ import annotations

import gc

YOUNG = 50_000  # containers allocated, less those freed, until the youngest are looked at
MIDDLE = 20  # such looks until those that survived one are looked at
OLD = 20  # and of those until all are


def tune() -> None:
    """Call once, when everything is imported and started."""
    # first: garbage that is frozen with the rest is never freed
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, MIDDLE, OLD)

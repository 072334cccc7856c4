"""How often to do what may be done more seldom where it costs much."""

from __future__ import annotations

SHARE = 1 / 20  # of the time that it may take, where nothing else is said


def pause_s(took_s: float, *, least_s: float, most_s: float, share: float = SHARE) -> float:
    """Seconds to wait after work that took so long: within both bounds, as many as keep it to its
    share.
    """
    return min(most_s, max(least_s, took_s / share))

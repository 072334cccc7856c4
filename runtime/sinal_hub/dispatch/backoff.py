"""How long to wait before the next try: exponential with full jitter, so that failures do not return together."""

from __future__ import annotations

import random

BASE_S = 2.0
CAP_S = 900.0


def ceiling_s(failures: int, *, base_s: float = BASE_S, cap_s: float = CAP_S) -> float:
    """The longest wait after that many failures in a row (from 1)."""
    doublings = min(max(failures, 1) - 1, 62)  # 2**62 seconds are beyond any cap and still a finite float
    return float(min(cap_s, base_s * 2**doublings))


def delay_s(
    failures: int, rng: random.Random, *, base_s: float = BASE_S, cap_s: float = CAP_S, floor_s: float = 0.0
) -> float:
    """A wait drawn evenly between `floor_s` and the ceiling."""
    ceiling = ceiling_s(failures, base_s=base_s, cap_s=cap_s)
    return rng.uniform(min(floor_s, ceiling), ceiling)

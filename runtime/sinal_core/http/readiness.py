"""Whether a role can do its work, as its probes tell it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Readiness(NamedTuple):
    """Whether a role can do its work, and what `/readyz` tells of it."""

    ready: bool
    told: Mapping[str, object]


def of_answers(answers: Mapping[str, bool]) -> Readiness:
    """Of a role that needs each of its dependencies."""
    ready = all(answers.values())
    return Readiness(ready, {"status": "ready" if ready else "not ready", **answers})

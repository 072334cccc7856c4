"""Whether a role can do its work, as its probes tell it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Readiness(NamedTuple):
    """Whether a role can do its work, and what `/readyz` tells of it."""

    ready: bool
    told: Mapping[str, object]


def of_answers(
    answers: Mapping[str, bool],
    *,
    ready: bool | None = None,
    draining: bool = False,
    reason: str | None = None,
) -> Readiness:
    """Of a role that needs each of its dependencies, or is `ready` by a rule of its own.

    One that drains is not ready. `reason` is what a person has to know.
    """
    works = (all(answers.values()) if ready is None else ready) and not draining
    status = "draining" if draining else "ready" if works else "not ready"
    said = {} if reason is None else {"reason": reason}
    return Readiness(works, {"status": status, **answers, **said})

"""Conditions as Kubernetes defines them, computed whole each time. Pure.

Invariant: the same verdicts give the same list, so that nothing is written while nothing changes; a
transition time changes only with its status; conditions of other writers stay as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

READY: Final = "Ready"
PROVISIONED: Final = "Provisioned"
CREDENTIALS: Final = "CredentialsValid"
ROUTES: Final = "RoutesAccepted"
DELIVERING: Final = "Delivering"
RECEIVING: Final = "Receiving"
PAUSED: Final = "Paused"
OURS: Final = (READY, PROVISIONED, CREDENTIALS, ROUTES, DELIVERING, RECEIVING, PAUSED)

MAX_MESSAGE = 2_000  # characters; the API allows 32,768, a person reads less

State = Literal["True", "False", "Unknown"]
Condition = dict[str, Any]


@dataclass(frozen=True)
class ConditionVerdict:
    """What the operator finds on one aspect of an object."""

    type: str
    state: State
    reason: str  # one CamelCase word for programs; stable
    message: str  # a sentence for people

    def of(self, type: str) -> ConditionVerdict:
        """The same finding on another aspect."""
        return ConditionVerdict(type, self.state, self.reason, self.message)


def merged(
    current: Sequence[Condition],
    verdicts: Sequence[ConditionVerdict],
    *,
    generation: int,
    now: datetime,
    partial: bool = False,
    keep: Collection[str] = (),
) -> list[Condition]:
    """The conditions to write: ours from the verdicts, in their order, then those of other writers
    as they are.

    With `partial`, ours that no verdict speaks of stay too; without, they go, but for those named
    in `keep`.
    """
    before = {condition["type"]: condition for condition in current}
    spoken = {verdict.type for verdict in verdicts}
    unspoken = [c for c in current if c["type"] in OURS and c["type"] not in spoken]
    # The order is always the same: a merge patch replaces a list whole, and the writer compares
    # lists.
    before_ours = [c for c in unspoken if partial and c["type"] not in keep]
    behind_ours = [c for c in unspoken if c["type"] in keep]
    ours = [_condition(before.get(verdict.type), verdict, generation, now) for verdict in verdicts]
    return [
        *before_ours,
        *ours,
        *behind_ours,
        *(condition for condition in current if condition["type"] not in OURS),
    ]


def find(current: Sequence[Condition], type: str) -> Condition:
    """The condition of that type, or an empty one."""
    return next((condition for condition in current if condition.get("type") == type), {})


def _condition(
    before: Condition | None, verdict: ConditionVerdict, generation: int, now: datetime
) -> Condition:
    unchanged = before is not None and before.get("status") == verdict.state
    since = before["lastTransitionTime"] if before is not None and unchanged else _rfc3339(now)
    return {
        "type": verdict.type,
        "status": verdict.state,
        "observedGeneration": generation,
        "lastTransitionTime": since,
        "reason": verdict.reason,
        "message": verdict.message[:MAX_MESSAGE],
    }


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

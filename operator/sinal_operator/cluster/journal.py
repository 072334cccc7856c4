"""Kubernetes events: what a person would want to know, once for each change.

An object whose readiness changes says so, and a tenant says what was made for it. Events are told once and not repeated
by a restart, because they come from differences to the status that the API server holds.
"""

from __future__ import annotations

import logging
import secrets
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from sinal_operator.cluster.client import Client, Refused, Unreachable
from sinal_operator.cluster.conditions import READY, Condition, find
from sinal_operator.cluster.mirror import Seen
from sinal_operator.cluster.resources import CUSTOM
from sinal_operator.cluster.status import DELETING

log = logging.getLogger(__name__)

COMPONENT = "sinal-operator"
MAX_MESSAGE = 1_024  # the API's limit

_NO_NEWS = (DELETING,)  # who deletes knows it

Level = Literal["Normal", "Warning"]


def turn(before: Sequence[Condition], after: Sequence[Condition]) -> tuple[Level, str, str] | None:
    """The event of a change of Ready: level, reason, message; None when it is no news."""
    old, new = find(before, READY), find(after, READY)
    if new.get("status") in (None, "Unknown") or new["reason"] in _NO_NEWS:
        return None
    if (old.get("status"), old.get("reason")) == (new["status"], new["reason"]):
        return None
    return "Normal" if new["status"] == "True" else "Warning", new["reason"], new["message"]


class Journal:
    """Writes events; one that can't be written is logged and lost."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def tell(self, seen: Seen, level: Level, reason: str, message: str) -> None:
        """Record an event on an object."""
        namespace = seen.key[1]
        try:
            await self._client.post_event(namespace, _event(seen, level, reason, message))
        except (Refused, Unreachable) as error:
            log.info("event %s of %s %s/%s was not recorded: %s", reason, *seen.key, error)


def _event(seen: Seen, level: Level, reason: str, message: str) -> dict[str, Any]:
    kind, namespace, name = seen.key
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{name}.{secrets.token_hex(8)}", "namespace": namespace},
        "involvedObject": {
            "apiVersion": CUSTOM[kind].api_version,
            "kind": kind,
            "name": name,
            "namespace": namespace,
            "uid": seen.uid,
        },
        "type": level,
        "reason": reason,
        "message": message[:MAX_MESSAGE],
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": socket.gethostname()[:128],
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }

"""Kubernetes events: what a person would want to know, once for each change.

An object that is not ready says so, and when it is again; that a new one is ready, its status
tells. A destination that ceases to deliver says so, and when it delivers again; so does a tenant
that falls silent. A tenant says what was made for it. Events are told once and not repeated by a
restart, because they come from differences to the status that the API server holds. The same event
again raises its count, and an object has so many in a while (`restraint`). They are written beside
the work and never delay it: a thousand new tenants have more to tell than to be made.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from sinal_operator.cluster.client import ApiServerClient, ApiServerRefused, ApiServerUnreachable
from sinal_operator.cluster.conditions import DELIVERING, READY, RECEIVING, Condition, find
from sinal_operator.cluster.object_cache import Seen
from sinal_operator.cluster.resources import CUSTOM, EVENTS
from sinal_operator.cluster.restraint import Restraint
from sinal_operator.cluster.status import DELETING, IS_READY
from sinal_operator.cluster.tenant_status import FAILING, NO_CREDENTIALS

log = logging.getLogger(__name__)

COMPONENT = "sinal-operator"
MAX_MESSAGE = 1_024  # the API's limit

# who deletes knows it, the others are told where they come from
_NO_NEWS = (DELETING, FAILING, NO_CREDENTIALS)
# that they are as they should be is news only after they were not
_FAULTS = (DELIVERING, RECEIVING)

PARALLEL = 4  # requests at a time, of the client's 16: statuses go first
MOST = 10_000  # events that wait

Level = Literal["Normal", "Warning"]
Event = dict[str, Any]


def turns(before: Sequence[Condition], after: Sequence[Condition]) -> list[tuple[Level, str, str]]:
    """The events of what changed: level, reason and message of each."""
    found = (turn(before, after, type=type) for type in (READY, *_FAULTS))
    return [news for news in found if news is not None]


def turn(
    before: Sequence[Condition], after: Sequence[Condition], *, type: str = READY
) -> tuple[Level, str, str] | None:
    """The event of a change of one condition; None for a change that nobody needs to hear of."""
    old, new = find(before, type), find(after, type)
    if new.get("status") in (None, "Unknown") or new["reason"] in _NO_NEWS:
        return None
    if (old.get("status"), old.get("reason")) == (new["status"], new["reason"]):
        return None
    if old.get("status") in (None, "Unknown") and new["reason"] == IS_READY:
        return None  # it was new
    if (
        type in _FAULTS
        and new["status"] == "True"
        and (old.get("status") != "False" or old["reason"] in _NO_NEWS)
    ):
        return None
    return "Normal" if new["status"] == "True" else "Warning", new["reason"], new["message"]


class EventRecorder:
    """Writes events, a few at a time; one that can't be written is logged and lost."""

    def __init__(
        self, client: ApiServerClient, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._restraint = Restraint(clock)
        self._waiting: deque[tuple[Seen, Event]] = deque()
        # names of events that are there, of those that may be told again
        self._recorded: set[str] = set()
        self._told = asyncio.Event()

    def tell(self, seen: Seen, level: Level, reason: str, message: str) -> None:
        """Record an event on an object, soon."""
        if len(self._waiting) >= MOST:
            log.info("event %s of %s %s/%s was not recorded: too many wait", reason, *seen.key)
            return
        if not self._restraint.allows(seen.uid):
            log.debug("event %s of %s %s/%s was not recorded: it has too many", reason, *seen.key)
            return
        fresh = _event(seen, level, reason, message)
        event = self._restraint.same((seen.uid, level, reason, fresh["message"]), fresh)
        if event is not fresh:
            event["count"] += 1
            event["lastTimestamp"] = fresh["lastTimestamp"]
        # One that waits still is written once, with the count that it has then.
        if not any(waiting is event for _, waiting in self._waiting):
            self._waiting.append((seen, event))
        self._told.set()

    async def run(self) -> None:
        """Write what is told, for ever."""
        while True:
            await self._told.wait()
            self._told.clear()
            await self.flush()

    async def flush(self) -> None:
        """Write what waits."""
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(PARALLEL, len(self._waiting)))]
            await asyncio.gather(*(self._write(seen, event) for seen, event in batch))

    async def _write(self, seen: Seen, event: Event) -> None:
        name = event["metadata"]["name"]
        try:
            if name in self._recorded:
                change = {field: event[field] for field in ("count", "lastTimestamp")}
                await self._client.patch(EVENTS, seen.key[1], name, change)
            else:
                await self._client.post_event(seen.key[1], event)
                self._recorded.add(name)
                self._recorded &= self._restraint.names() | {name}
        except (ApiServerRefused, ApiServerUnreachable) as error:
            # It may be gone: the API server keeps events for an hour by default. So the next one is
            # made anew, not patched.
            self._recorded.discard(name)
            log.info("event %s of %s %s/%s was not recorded: %s", event["reason"], *seen.key, error)


def _event(seen: Seen, level: Level, reason: str, message: str) -> Event:
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
        # 128 characters are what events.k8s.io allows.
        "reportingInstance": socket.gethostname()[:128],
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }

"""The operator's finalizer, taken off by the operator itself where Kopf does not serve the kind any
more.

Kopf serves no kind whose discovery lists no `patch`, and that of a definition that is being deleted
does not, though the API server takes one: so nobody would let the Tenants go that the definition
waits for. Invariant: a Tenant is let go here for the same reasons as by Kopf, and later.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from sinal_operator.cluster.client import (
    ApiServerClient,
    ApiServerRefused,
    ApiServerUnreachable,
    Body,
)
from sinal_operator.cluster.definitions import Definitions
from sinal_operator.cluster.event_recorder import EventRecorder
from sinal_operator.cluster.finalization import Finalization
from sinal_operator.cluster.object_cache import FINALIZER, ObjectCache, Seen, WatchChange
from sinal_operator.cluster.resources import CUSTOM

log = logging.getLogger(__name__)

LOOK_S = 1.0
LATE_S = 3.0  # Kopf takes it off within moments; who is held still after that is not served by it
_TENANTS = CUSTOM["Tenant"]


class Finalizers:
    """Looks after Tenants that leave."""

    def __init__(
        self,
        client: ApiServerClient,
        object_cache: ObjectCache,
        departures: Finalization,
        definitions: Definitions,
        recorder: EventRecorder,
        *,
        patience_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._object_cache, self._departures = client, object_cache, departures
        self._definitions, self._recorder = definitions, recorder
        self._patience_s, self._clock = patience_s, clock
        self._since: dict[str, float] = {}  # UID of one that leaves -> when that was first seen
        self._free: dict[str, float] = {}  # UID of one that may go -> since when

    async def run(self, on_news: Callable[[], None]) -> None:
        """Look for ever; `on_news` hears when Tenants are found that nobody told of."""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                if self._definitions.leaving("Tenant") and await self._list():
                    on_news()
                await self.look()
            except (ApiServerUnreachable, ApiServerRefused) as error:
                log.info("Tenants that leave wait for the API server: %s", error)

    async def look(self) -> None:
        """Let those go that may; raises Unreachable or Refused."""
        now, leaving = (
            self._clock(),
            {seen.uid: seen for seen in self._departures.leaving() if seen.kept},
        )
        self._since = {uid: self._since.get(uid, now) for uid in leaving}
        for uid, seen in leaving.items():
            if now - self._since[uid] > self._patience_s + LATE_S and not self._departures.may_go(
                uid
            ):
                self._departures.give_up(seen, self._recorder, self._patience_s)
        self._free = {
            uid: self._free.get(uid, now) for uid in leaving if self._departures.may_go(uid)
        }
        for uid, since in self._free.items():
            if now - since >= LATE_S:
                await self._take_off(leaving[uid])

    async def _list(self) -> bool:
        changes: list[WatchChange] = []
        async for page, _ in self._client.pages(_TENANTS):
            changes += [self._object_cache.put(body) for body in page]
        return WatchChange.DECLARED in changes

    async def _take_off(self, seen: Seen) -> None:
        _, namespace, name = seen.key
        body = await self._client.get(_TENANTS, namespace, name)
        if body is None or body["metadata"]["uid"] != seen.uid:
            self._object_cache.remove(_last(seen))
            return
        metadata = body["metadata"]
        others = [one for one in metadata.get("finalizers") or () if one != FINALIZER]
        # A merge patch replaces the list whole: without the version, a finalizer that somebody adds
        # in this moment would be lost.
        change: Body = {
            "metadata": {"resourceVersion": metadata["resourceVersion"], "finalizers": others}
        }
        try:
            left = {**await self._client.patch(_TENANTS, namespace, name, change), "kind": "Tenant"}
        except ApiServerRefused as error:
            if not (error.gone or error.outdated):
                raise
            return  # the next look sees it as it is
        log.info("Tenant %s/%s is let go", namespace, name)
        if others:
            self._object_cache.put(left)
        else:
            self._object_cache.remove(left)


def _last(seen: Seen) -> Body:
    """What a Tenant that is gone was, as far as the object cache asks."""
    kind, namespace, name = seen.key
    return {
        "kind": kind,
        "metadata": {"namespace": namespace, "name": name, "resourceVersion": str(seen.version)},
    }
